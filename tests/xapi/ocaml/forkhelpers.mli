(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* SPDX-FileCopyrightText: the qcow-tool authors *)
(* Stands in for the module of this name of xen-api v25.27.0 to v26.17.0, where
   it is the same: its fork helper is launch.c. *)

type syslog_stdout =
  | NoSyslogging
  | Syslog_DefaultKey
  | Syslog_WithKey of string

val execute_command_get_output :
     ?tracing:Tracing.Span.t
  -> ?env:string array
  -> ?syslog_stdout:syslog_stdout
  -> ?redirect_stderr_to_stdout:bool
  -> ?timeout:Mtime.Span.t
  -> string
  -> string list
  -> string * string

exception Spawn_internal_error of string * string * Unix.process_status

type pidty

val safe_close_and_exec :
     ?tracing:Tracing.Span.t
  -> ?env:string array
  -> Unix.file_descr option
  -> Unix.file_descr option
  -> Unix.file_descr option
  -> (string * Unix.file_descr) list
  -> ?syslog_stdout:syslog_stdout
  -> ?redirect_stderr_to_stdout:bool
  -> string
  -> string list
  -> pidty

val waitpid : pidty -> int * Unix.process_status

type 'a result = Success of string * 'a | Failure of string * exn

val with_logfile_fd :
  ?delete:bool -> string -> (Unix.file_descr -> 'a) -> 'a result
