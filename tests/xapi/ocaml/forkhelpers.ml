(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* SPDX-FileCopyrightText: the qcow-tool authors *)
(* Stands in for the module of this name of xen-api v25.27.0 to v26.17.0, where
   it is the same: its fork helper is launch.c. *)

open Xapi_stdext_unix.Unixext

type pidty = int

type syslog_stdout =
  | NoSyslogging
  | Syslog_DefaultKey
  | Syslog_WithKey of string

(* What the program has of the environment: where it may keep temporary files
   is the test's to say. *)
let environment () =
  match Sys.getenv_opt "TMPDIR" with
  | Some directory ->
      ["--env"; "TMPDIR=" ^ directory]
  | None ->
      []

let safe_close_and_exec ?tracing:_ ?env:_ stdin stdout stderr fds
    ?syslog_stdout:_ ?redirect_stderr_to_stdout:_ program args =
  let number fd = string_of_int (int_of_file_descr fd) in
  let standard option = function
    | Some fd ->
        [option; number fd]
    | None ->
        []
  in
  let command =
    [Option.value (Sys.getenv_opt "LAUNCH") ~default:"launch"]
    @ standard "--stdin" stdin
    @ standard "--stdout" stdout
    @ standard "--stderr" stderr
    @ List.concat_map (fun (uuid, fd) -> ["--fd"; uuid ^ "=" ^ number fd]) fds
    @ environment ()
    @ (program :: args)
  in
  let passed =
    List.filter_map Fun.id [stdin; stdout; stderr] @ List.map snd fds
  in
  List.iter Unix.clear_close_on_exec passed ;
  Fun.protect
    (fun () ->
      Unix.create_process (List.hd command) (Array.of_list command) Unix.stdin
        Unix.stdout Unix.stderr
    )
    ~finally:(fun () -> List.iter Unix.set_close_on_exec passed)

let waitpid pid = Unix.waitpid [] pid

(* An open file, and what gives its contents and closes it. *)
let temporary prefix =
  let name = Filename.temp_file prefix ".log" in
  let fd = Unix.openfile name [Unix.O_WRONLY; Unix.O_CLOEXEC] 0 in
  let contents () =
    Unix.close fd ;
    Fun.protect
      (fun () -> string_of_file name)
      ~finally:(fun () -> Unix.unlink name)
  in
  (fd, contents)

type 'a result = Success of string * 'a | Failure of string * exn

let with_logfile_fd ?(delete = true) prefix f =
  assert delete ;
  let log, text = temporary prefix in
  match f log with
  | value ->
      Success (text (), value)
  | exception e ->
      Failure (text (), e)

exception Spawn_internal_error of string * string * Unix.process_status

let execute_command_get_output ?tracing ?env ?syslog_stdout
    ?redirect_stderr_to_stdout ?timeout:_ program args =
  let output, output_text = temporary "stdout" in
  let log, log_text = temporary "stderr" in
  let pid =
    safe_close_and_exec ?tracing ?env None (Some output) (Some log) []
      ?syslog_stdout ?redirect_stderr_to_stdout program args
  in
  let _, status = waitpid pid in
  let output = output_text () in
  let log = log_text () in
  if status = Unix.WEXITED 0 then
    (output, log)
  else
    raise (Spawn_internal_error (log, output, status))
