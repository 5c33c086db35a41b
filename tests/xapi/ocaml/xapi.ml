(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* Stands in for the modules of xapi that qcow_tool_wrapper.ml uses, as far as
   it uses them, under their names and with their types: the wrapper is
   compiled with this file opened. Forkhelpers has a file of its own. *)

(* What goes to syslog in xapi goes to standard error. *)
module Debug = struct
  module type BRAND = sig
    val name : string
  end

  module type DEBUG = sig
    val debug : ('a, unit, string, unit) format4 -> 'a

    val warn : ('a, unit, string, unit) format4 -> 'a

    val info : ('a, unit, string, unit) format4 -> 'a

    val error : ('a, unit, string, unit) format4 -> 'a
  end

  module Make (Brand : BRAND) : DEBUG = struct
    let log level fmt =
      Printf.ksprintf (Printf.eprintf "%s|%s: %s\n%!" level Brand.name) fmt

    let debug fmt = log "debug" fmt

    let warn fmt = log "warn" fmt

    let info fmt = log "info" fmt

    let error fmt = log "error" fmt
  end
end

module Context : sig
  type t

  val make : string -> t

  val name : t -> string
end = struct
  type t = string

  let make name = name

  let name context = context
end

(* A line for each value; a task called "broken" takes none. *)
module TaskHelper : sig
  val set_progress : __context:Context.t -> float -> unit
end = struct
  let set_progress ~__context progress =
    Printf.printf "%s %.2f\n%!" (Context.name __context) progress ;
    if Context.name __context = "broken" then failwith "no such task"
end

module Api_errors = struct
  exception Server_error of string * string list

  let vdi_io_error = "VDI_IO_ERROR"
end

module Uuidx : sig
  type 'a t

  val make : unit -> 'a t

  val to_string : 'a t -> string
end = struct
  type 'a t = string

  let make () =
    let uuids = open_in "/proc/sys/kernel/random/uuid" in
    Fun.protect
      (fun () -> input_line uuids)
      ~finally:(fun () -> close_in uuids)

  let to_string uuid = uuid
end

module Xapi_stdext_pervasives = struct
  module Pervasiveext : sig
    val finally : (unit -> 'a) -> (unit -> unit) -> 'a
  end = struct
    let finally f g = Fun.protect f ~finally:g
  end
end

module Xapi_stdext_unix = struct
  module Unixext : sig
    val really_read : Unix.file_descr -> bytes -> int -> int -> unit

    val string_of_signal : int -> string

    val string_of_file : string -> string

    val int_of_file_descr : Unix.file_descr -> int

    val file_descr_of_int : int -> Unix.file_descr
  end = struct
    let rec really_read fd buffer offset length =
      if length > 0 then
        match Unix.read fd buffer offset length with
        | 0 ->
            raise End_of_file
        | n ->
            really_read fd buffer (offset + n) (length - n)

    let string_of_signal signal =
      if signal = Sys.sigterm then
        "SIGTERM"
      else
        Printf.sprintf "signal %d" signal

    let string_of_file name =
      let file = open_in_bin name in
      Fun.protect
        (fun () -> really_input_string file (in_channel_length file))
        ~finally:(fun () -> close_in file)

    (* OCaml's fds are the numbers, on Unix. *)
    let int_of_file_descr : Unix.file_descr -> int = Obj.magic

    let file_descr_of_int : int -> Unix.file_descr = Obj.magic
  end
end

module Xapi_globs = struct
  let qcow_stream_tool = ref "qcow-stream-tool"
end

(* The image below DEVICE is DEVICE.qcow2, and of an NBD device the socket and
   the export are the lines of DEVICE.nbd. *)
module Xapi_vdi_helpers : sig
  type backing_file_error

  val backing_file_of_device_with_driver :
    string -> driver:string -> (string, backing_file_error) result

  val get_nbd_device : string -> (string * string) option
end = struct
  type backing_file_error = Not_found_below of string

  let backing_file_of_device_with_driver device ~driver =
    let image = device ^ "." ^ driver in
    if Sys.file_exists image then
      Ok image
    else
      Error (Not_found_below device)

  let get_nbd_device device =
    let file = device ^ ".nbd" in
    if not (Sys.file_exists file) then
      None
    else
      let text = Xapi_stdext_unix.Unixext.string_of_file file in
      Scanf.sscanf text "%s@\n%s@\n" (fun socket export ->
          Some (socket, export)
      )
end
