(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* SPDX-FileCopyrightText: the qcow-tool authors *)
(* Moves VDIs out of and into xapi as qcow2, by qcow-tool's own commands.

   For xapi 26.16 and 26.17, and 26.1 from 26.1.11 on. The patches beside this
   file make it one for older ones. For its licence see the interface. *)

module D = Debug.Make (struct let name = "qcow_tool_wrapper" end)

open D

let finally = Xapi_stdext_pervasives.Pervasiveext.finally

let update_task_progress __context percent =
  TaskHelper.set_progress ~__context (float_of_int percent /. 100.)

exception Failed of Unix.process_status

let ended_by = function
  | Unix.WEXITED code ->
      Printf.sprintf "exit code %d" code
  | Unix.WSIGNALED signal | Unix.WSTOPPED signal ->
      Printf.sprintf "killed by %a" Debug.Pp.signal signal

(* What the operator is told: the program puts the cause into its first line.
   One that was killed has said nothing. *)
let reason tool log status =
  match String.split_on_char '\n' (String.trim log) with
  | "" :: _ | [] ->
      Printf.sprintf "%s: %s" (Filename.basename tool) (ended_by status)
  | line :: _ ->
      line

(* A transfer is worth more than the news of it. *)
let tell progress_cb percent =
  try progress_cb percent
  with e -> warn "progress %d: %s" percent (Printexc.to_string e)

(* Three digits for each percent, and nothing between. That the work is done is
   for the exit code to say, so 100 has to wait for that. *)
let follow_progress progress_cb pipe =
  let digits = Bytes.create 3 in
  try
    while true do
      Xapi_stdext_unix.Unixext.really_read pipe digits 0 3 ;
      match int_of_string_opt (Bytes.to_string digits) with
      | Some percent when percent >= 0 && percent < 100 ->
          tell progress_cb percent
      | _ ->
          ()
    done
  with
  | End_of_file ->
      ()
  | e ->
      warn "no progress from now on: %s" (Printexc.to_string e)

(* Both ends are closed when [f] is done; the end for writing as soon as [f]
   calls what it is given, because the other has no end of file before. *)
let with_pipe f =
  let reader, writer = Unix.pipe ~cloexec:true () in
  let close_writer = lazy (Unix.close writer) in
  finally
    (fun () -> f reader writer (fun () -> Lazy.force close_writer))
    (fun () -> Lazy.force close_writer ; Unix.close reader)

(* The client has been told that all is well: the status goes first. What is
   left is to reset its connection. If it were closed, that would look like the
   end, and a second answer would look like a part of the image.

   The last close of a socket that does not linger resets it, and that is done
   by dup2. The fd stays open for the caller, and leads nowhere. *)
let reset socket =
  try
    let nowhere = Unix.openfile "/dev/null" [Unix.O_RDWR; Unix.O_CLOEXEC] 0 in
    finally
      (fun () ->
        Unix.setsockopt_optint socket Unix.SO_LINGER (Some 0) ;
        Unix.dup2 ~cloexec:true nowhere socket
      )
      (fun () -> Unix.close nowhere)
  with e -> warn "a connection is not reset: %s" (Printexc.to_string e)

let or_reset socket f = try f () with e -> reset socket ; raise e

let io_error tool log status =
  Api_errors.(Server_error (vdi_io_error, [reason tool log status]))

(* Runs the program with [fd], which [args] call by the name [fd_name].
   Nothing may raise between its start and the wait for its end: a program
   left running would hold the VDI. *)
let run progress_cb (fd_name, fd) args =
  let tool = !Xapi_globs.qcow_stream_tool in
  info "Executing %s" (Filename.quote_command tool args) ;
  let transfer log =
    with_pipe (fun reader writer close_writer ->
        let pid =
          Forkhelpers.safe_close_and_exec None (Some writer) (Some log)
            [(fd_name, fd)]
            tool args
        in
        close_writer () ;
        follow_progress progress_cb reader ;
        match Forkhelpers.waitpid pid with
        | _, Unix.WEXITED 0 ->
            ()
        | _, status ->
            raise (Failed status)
    )
  in
  match Forkhelpers.with_logfile_fd "qcow-tool" transfer with
  | Forkhelpers.Success (log, ()) ->
      debug "%s: done%s" tool (if log = "" then "" else ": " ^ log) ;
      tell progress_cb 100
  | Forkhelpers.Failure (log, Failed status) ->
      error "%s: %s: %s" tool (ended_by status) log ;
      raise (io_error tool log status)
  | Forkhelpers.Failure (log, e) ->
      error "%s: %s: %s" tool (Printexc.to_string e) log ;
      raise e

(* xapi's fork helper puts the number of [fd] where this name is. *)
let named fd = (Uuidx.(to_string (make ())), fd)

(* JSON *)

let member name = function
  | Rpc.Dict members ->
      List.assoc name members
  | _ ->
      raise Not_found

let integer = function Rpc.Int n -> n | _ -> raise Not_found

let elements = function Rpc.Enum list -> list | _ -> raise Not_found

(* The qcow2 image that a device shows, which is asked for what is allocated.
   That of a VHD is not: QEMU knows no chains of them, and would take what is
   in a parent for a hole. *)
let image_of device =
  Xapi_vdi_helpers.backing_file_of_device_with_driver ~driver:"qcow2" device
  |> Result.to_option

(* The source's format and its name, and the base in the form that this format
   compares with: images with images, by depth where one is in the chain of the
   other and else by their data, and devices with devices. *)
let source_of ?relative_to device size =
  let image = image_of device in
  let base_image = Option.bind relative_to image_of in
  let nbd = Xapi_vdi_helpers.get_nbd_device device in
  match (relative_to, image, base_image, nbd) with
  | Some _, Some image, Some _, _ ->
      ("hybrid", device ^ ":" ^ image, base_image)
  | _, _, _, Some (socket, export) ->
      ( "nbdhybrid"
      , Printf.sprintf "%s:%s:%s:%Ld" device socket export size
      , relative_to
      )
  | None, Some image, _, None ->
      ("hybrid", device ^ ":" ^ image, None)
  | _, _, _, None ->
      ("raw", device, relative_to)

let relative_to_args base =
  Option.fold ~none:[] ~some:(fun base -> ["--relative-to"; base]) base

let measured tool args =
  info "Executing %s" (Filename.quote_command tool args) ;
  try
    let answer, _ = Forkhelpers.execute_command_get_output tool args in
    Jsonrpc.of_string answer
  with Forkhelpers.Spawn_internal_error (log, _, status) ->
    raise (io_error tool log status)

let measure ?relative_to device size =
  match source_of ?relative_to device size with
  | ("hybrid" as source_format), source, base -> (
      let answer =
        measured !Xapi_globs.qcow_stream_tool
          (["measure"; "--source-format"; source_format; "--source"; source]
          @ relative_to_args base
          )
      in
      match member "stable" answer with
      | Rpc.Bool true ->
          Some (integer (member "length" answer))
      | _ ->
          None
    )
  | _ ->
      None

let send ?relative_to ?length progress_cb fd device size =
  or_reset fd @@ fun () ->
  let ((fd_name, _) as named_fd) = named fd in
  let source_format, source, base = source_of ?relative_to device size in
  let args =
    [
      "stream"
    ; "--source-protocol"
    ; "none"
    ; "--source-format"
    ; source_format
    ; "--source"
    ; source
    ; "--destination-protocol"
    ; "none"
    ; "--destination-format"
    ; "qcow2"
    ; "--destination-fd"
    ; fd_name
    ; "--tar-filename-prefix"
    ; ""
    ; "--progress"
    ; "--machine"
    ; "--direct"
    ; "--path"
    ; "/dev/mapper:."
    ]
    @ relative_to_args base
    @ Option.fold ~none:[]
        ~some:(fun length -> ["--expect-length"; Int64.to_string length])
        length
  in
  run progress_cb named_fd args

(* There is no --force here. Nothing of xapi's storage stack holds the device
   of a VDI exclusively: tapdisk opens what is below it, and nbd-client the
   device itself, both without O_EXCL (blktap v4.0.8, nbd 3.27.1), and sm
   v4.1.12 uses that for a device that becomes a storage repository. Who does
   hold it has mounted it, say, and its data would be gone. *)
let receive ?length ?(prezeroed = true) progress_cb fd device =
  or_reset fd @@ fun () ->
  let ((fd_name, _) as named_fd) = named fd in
  let args =
    [
      "serve"
    ; "--source-format"
    ; "qcow2"
    ; "--source-protocol"
    ; "none"
    ; "--source-fd"
    ; fd_name
    ; "--tar-filename-prefix"
    ; ""
    ; "--destination"
    ; "file://" ^ device
    ; "--destination-format"
    ; "raw"
    ; "--progress"
    ; "--machine"
    ; "--direct"
    ]
    @ ( match length with
      | Some length ->
          ["--destination-size"; Int64.to_string length]
      | None ->
          []
      )
    @ if prezeroed then ["--prezeroed"] else []
  in
  run progress_cb named_fd args

(* The clusters of the whole chain that hold data. *)

let asked_of_qemu_img command image =
  let args = [command; "-U"; "-f"; "qcow2"; "--output=json"; image] in
  let answer, _ =
    Forkhelpers.execute_command_get_output !Xapi_globs.qemu_img args
  in
  Jsonrpc.of_string answer

let parse_header_interval image =
  let number name extent = Int64.to_int (integer (member name extent)) in
  let cluster_size = number "cluster-size" (asked_of_qemu_img "info" image) in
  (* Outwards: what is below may have smaller clusters. *)
  let clusters_of extent =
    let start = number "start" extent in
    let last_byte = start + number "length" extent - 1 in
    (start / cluster_size, last_byte / cluster_size)
  in
  let add intervals extent =
    let first, last = clusters_of extent in
    match intervals with
    | (previous, last_of_previous) :: others when first <= last_of_previous ->
        (previous, max last last_of_previous) :: others
    | _ ->
        (first, last) :: intervals
  in
  let intervals =
    asked_of_qemu_img "map" image
    |> elements
    |> List.filter (fun extent -> member "data" extent = Rpc.Bool true)
    |> List.fold_left add []
    |> List.rev
  in
  (cluster_size, intervals)

let parse_header image =
  let cluster_size, intervals = parse_header_interval image in
  let clusters_of (first, last) = List.init (last - first + 1) (( + ) first) in
  (cluster_size, List.concat_map clusters_of intervals)
