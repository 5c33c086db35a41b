(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* SPDX-FileCopyrightText: the qcow-tool authors *)
(* One request of a client, as xapi's server makes its handlers answer it.

   handlers PROGRAM import FD DEVICE
   handlers PROGRAM export FD DEVICE SIZE [BASE]

   FD is the connection. Prints a line for each progress of the task, and
   "done" or the exception. Exit status: 0 done, 1 an exception. *)

(* No more than the headers: what comes behind them is for the program. *)
let rec read_headers s text =
  if String.ends_with ~suffix:"\r\n\r\n" text then
    text
  else
    let c = Bytes.create 1 in
    Xapi_stdext_unix.Unixext.really_read s c 0 1 ;
    read_headers s (text ^ Bytes.to_string c)

let request s =
  let content_length line =
    try Scanf.sscanf line "Content-Length: %Ld" Option.some
    with Scanf.Scan_failure _ | End_of_file -> None
  in
  let lines = String.split_on_char '\n' (read_headers s "") in
  Http.Request.
    {content_length= List.find_map content_length lines; close= false}

let handle s = function
  | ["import"; device] ->
      Import_raw_vdi.localhost_handler () "session" device (request s) s
  | "export" :: device :: size :: base ->
      Export_raw_vdi.localhost_handler () "session" device
        ?base:(List.nth_opt base 0) (request s) s (Int64.of_string size)
  | _ ->
      failwith "usage"

let text_of = function
  | Api_errors.Server_error (error, params) ->
      Printf.sprintf "%s: [ %s ]" error (String.concat "; " params)
  | e ->
      Printexc.to_string e

let () =
  Sys.set_signal Sys.sigpipe Sys.Signal_ignore ;
  match Array.to_list Sys.argv with
  | _ :: program :: command :: fd :: args -> (
      Xapi_globs.qcow_stream_tool := program ;
      let s = Xapi_stdext_unix.Unixext.file_descr_of_int (int_of_string fd) in
      match handle s (command :: args) (Context.make "task") with
      | () ->
          Unix.close s ; print_endline "done"
      | exception e ->
          ( try Http_svr.response_internal_error s (text_of e)
            with Unix.Unix_error _ -> ()
          ) ;
          Unix.close s ;
          print_endline (text_of e) ;
          exit 1
    )
  | _ ->
      failwith "usage"
