(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* SPDX-FileCopyrightText: the qcow-tool authors *)
(* What xapi's handlers do with a request: calls the wrapper with a socket.

   wrapper [--task NAME] PROGRAM send FD DEVICE SIZE [BASE]
   wrapper [--task NAME] PROGRAM receive FD DEVICE
           [length=BYTES] [prezeroed=BOOL]
   wrapper PROGRAM measure DEVICE SIZE [BASE]
   wrapper PROGRAM clusters IMAGE

   Prints a line for each progress of the task, which is called "task" if not
   NAME, or the answer, and "done" or the exception. Exit status: 0 done; 1 an
   error of the API; 2 another exception; 3 if the wrapper left an fd or a
   child behind. *)

let open_fds () = Array.length (Sys.readdir "/proc/self/fd")

let no_child () =
  match Unix.waitpid [Unix.WNOHANG] (-1) with
  | _ ->
      false
  | exception Unix.Unix_error (Unix.ECHILD, _, _) ->
      true

let argument name of_string args =
  let prefix = name ^ "=" in
  List.find_map
    (fun arg ->
      if String.starts_with ~prefix arg then
        let n = String.length prefix in
        Some (of_string (String.sub arg n (String.length arg - n)))
      else
        None
    )
    args

let fd_of_string number =
  Xapi_stdext_unix.Unixext.file_descr_of_int (int_of_string number)

let handle context = function
  | "send" :: fd :: device :: size :: base ->
      Qcow_tool_wrapper.send
        ?relative_to:(List.nth_opt base 0)
        (Qcow_tool_wrapper.update_task_progress context)
        (fd_of_string fd) device (Int64.of_string size)
  | "receive" :: fd :: device :: args ->
      Qcow_tool_wrapper.receive
        ?length:(argument "length" Int64.of_string args)
        ?prezeroed:(argument "prezeroed" bool_of_string args)
        (Qcow_tool_wrapper.update_task_progress context)
        (fd_of_string fd) device
  | "measure" :: device :: size :: base ->
      Qcow_tool_wrapper.measure
        ?relative_to:(List.nth_opt base 0)
        device (Int64.of_string size)
      |> Option.fold ~none:"none" ~some:Int64.to_string
      |> print_endline
  | ["clusters"; image] ->
      let size, clusters = Qcow_tool_wrapper.parse_header image in
      let same_size, intervals =
        Qcow_tool_wrapper.parse_header_interval image
      in
      Printf.printf "%d: %s\n%d: %s\n" size
        (String.concat " " (List.map string_of_int clusters))
        same_size
        (String.concat " "
           (List.map (fun (a, b) -> Printf.sprintf "%d-%d" a b) intervals)
        )
  | _ ->
      failwith "usage"

let () =
  (* As in xapi. *)
  Sys.set_signal Sys.sigpipe Sys.Signal_ignore ;
  let task, program, request =
    match List.tl (Array.to_list Sys.argv) with
    | "--task" :: task :: program :: request ->
        (task, program, request)
    | program :: request ->
        ("task", program, request)
    | [] ->
        failwith "usage"
  in
  Xapi_globs.qcow_stream_tool := program ;
  let fds = open_fds () in
  let code =
    match handle (Context.make task) request with
    | () ->
        print_endline "done" ; 0
    | exception Api_errors.Server_error (error, params) ->
        print_endline (String.concat ": " (error :: params)) ;
        1
    | exception e ->
        print_endline (Printexc.to_string e) ;
        2
  in
  if open_fds () <> fds || not (no_child ()) then (
    print_endline "left behind" ; exit 3
  ) ;
  exit code
