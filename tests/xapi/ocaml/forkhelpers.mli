(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* Stands in for xapi's module of this name: its fork helper is launch.c. *)

type pidty

type syslog_stdout_t =
  | NoSyslogging
  | Syslog_DefaultKey
  | Syslog_WithKey of string

val safe_close_and_exec :
     ?env:string array
  -> Unix.file_descr option
  -> Unix.file_descr option
  -> Unix.file_descr option
  -> (string * Unix.file_descr) list
  -> ?syslog_stdout:syslog_stdout_t
  -> ?redirect_stderr_to_stdout:bool
  -> string
  -> string list
  -> pidty

val waitpid : pidty -> int * Unix.process_status

type 'a result = Success of string * 'a | Failure of string * exn

val with_logfile_fd :
  ?delete:bool -> string -> (Unix.file_descr -> 'a) -> 'a result
