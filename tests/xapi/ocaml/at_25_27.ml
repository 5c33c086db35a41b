(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* SPDX-FileCopyrightText: the qcow-tool authors *)
(* Stands in for what xen-api v25.27.0 to v25.39.0 have and younger ones have
   not, or not so. *)

module Xapi_globs = struct
  let qcow_stream_tool = ref "qcow-stream-tool"
end

(* The image below DEVICE is DEVICE.qcow2 or DEVICE.vhd. *)
module Tapctl : sig
  type tapdev

  type t = tapdev * string * (string * string) option

  type context

  val create : unit -> context

  exception Not_blktap

  exception Not_a_device

  val of_device : context -> string -> t
end = struct
  type tapdev = unit

  type t = tapdev * string * (string * string) option

  type context = unit

  let create () = ()

  exception Not_blktap

  exception Not_a_device

  let of_device () device =
    let has driver = Sys.file_exists (device ^ "." ^ driver) in
    match List.find_opt has ["qcow2"; "vhd"] with
    | Some driver ->
        ((), "0", Some (driver, device ^ "." ^ driver))
    | None ->
        raise Not_blktap
end

(* Of an NBD device the socket and the export are the lines of DEVICE.nbd. *)
module Stream_vdi : sig
  val get_nbd_device : string -> (string * string) option
end = struct
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
