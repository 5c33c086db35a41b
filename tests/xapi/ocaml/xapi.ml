(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* SPDX-FileCopyrightText: the qcow-tool authors *)
(* Stands in for the modules of xapi that qcow_tool_wrapper.ml uses, as far as
   it uses them, under their names and with their types: the wrapper is
   compiled with this file opened.

   What is here is the same in xen-api v25.27.0 and v26.17.0. What is not is in
   a file for each range of versions, at_*.ml. Forkhelpers, the handlers and
   what these use have files of their own.

   Rpc and Jsonrpc are those of mirage/ocaml-rpc (src/lib at 060f5db and
   d77ebb2), which xapi links at both ends. *)

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

  module Pp : sig
    val signal : unit -> int -> string
  end = struct
    (* For %a. The numbers are OCaml's; Fmt.Dump.signal knows all of them. *)
    let signal () number =
      if number = Sys.sigterm then
        "SIGTERM"
      else
        Printf.sprintf "signal %d" number
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
  type not_secret = [`VDI]

  type all = [not_secret | `session]

  type 'a t constraint 'a = [< all]

  val make : unit -> [< not_secret] t

  val to_string : 'a t -> string
end = struct
  type not_secret = [`VDI]

  type all = [not_secret | `session]

  type 'a t = string constraint 'a = [< all]

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

module Tracing = struct
  module Span = struct
    type t = unit
  end
end

module Mtime = struct
  module Span = struct
    type t = int64
  end
end

module Rpc = struct
  type t =
    | Int of int64
    | Int32 of int32
    | Bool of bool
    | Float of float
    | String of string
    | DateTime of string
    | Enum of t list
    | Dict of (string * t) list
    | Base64 of string
    | Null
end

(* As much of JSON as QEMU and qcow-tool write: no floats, and in strings no
   escapes but of the next character. *)
module Jsonrpc : sig
  val of_string : ?strict:bool -> string -> Rpc.t
end = struct
  let of_string ?strict:_ text =
    let input = Scanf.Scanning.from_string text in
    let next () = Scanf.bscanf input " %0c" Fun.id in
    let skip wanted =
      Scanf.bscanf input " %c" (fun c -> assert (c = wanted))
    in
    let rec value () =
      match next () with
      | '{' ->
          Rpc.Dict (list_of '{' member '}')
      | '[' ->
          Rpc.Enum (list_of '[' value ']')
      | '"' ->
          Rpc.String (Scanf.bscanf input " %S" Fun.id)
      | '-' | '0' .. '9' ->
          Rpc.Int (Scanf.bscanf input " %Ld" Fun.id)
      | _ -> (
        match Scanf.bscanf input " %[a-z]" Fun.id with
        | "null" ->
            Rpc.Null
        | word ->
            Rpc.Bool (bool_of_string word)
      )
    and member () =
      let name = Scanf.bscanf input " %S" Fun.id in
      skip ':' ;
      (name, value ())
    and list_of : 'a. char -> (unit -> 'a) -> char -> 'a list =
     fun opening element closing ->
      skip opening ;
      let rec others list =
        match next () with
        | ',' ->
            skip ',' ;
            others (element () :: list)
        | _ ->
            skip closing ; List.rev list
      in
      if next () = closing then (skip closing ; []) else others [element ()]
    in
    value ()
end
