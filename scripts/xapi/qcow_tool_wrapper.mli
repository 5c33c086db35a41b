(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* SPDX-FileCopyrightText: the qcow-tool authors *)

(** Moves VDIs out of and into xapi as qcow2, by qcow-tool's own commands.

    For [ocaml/xapi] of xen-api, in the place of the module of this name. It
    has all that is in that one, so its callers need no change; what there is
    besides is for the patches beside this file.

    Licence: this module, its interface and the patches may also be used under
    the LGPL, version 2.1 only, with the OCaml linking exception (SPDX:
    [LGPL-2.1-only WITH OCaml-LGPL-linking-exception]), which is what xen-api
    asks of its own files.

    The program is the setting [qcow_stream_tool], which has to be qcow-tool
    itself, not the one that stands in for qcow-stream-tool; [qcow_to_stdout]
    is not used.

    [send] and [receive] return when all of the VDI has been moved, and raise
    [Api_errors.(Server_error (vdi_io_error, [reason]))] in every other case
    in which the program ran; [reason] is the first line that it wrote to its
    standard error.

    Both are given a connection on which the answer 200 has gone out. When they
    return it is the caller's as before. When they raise they have reset it, so
    that the client sees that something is missing: nothing more can be said
    there, and the caller's fd is [/dev/null], still to be closed.

    The callback is given percentages, which only rise, in the thread of the
    caller: 100 after the program has succeeded, and not before. What it
    raises is logged, and does not end the transfer. *)

val update_task_progress : Context.t -> int -> unit
(** The callback for the task of a context. *)

val measure : ?relative_to:string -> string -> int64 -> int64 option
(** [measure ?relative_to device size] is how many bytes [send] is about to
    write, if that can be known without reading the VDI: by the map of its
    qcow2 image. It raises like [send]. *)

val send :
     ?relative_to:string
  -> ?length:int64
  -> (int -> unit)
  -> Unix.file_descr
  -> string
  -> int64
  -> unit
(** [send ?relative_to ?length progress socket device size] exports the VDI of
    [size] bytes that is attached as [device]; with [relative_to], the device
    of another VDI, only what differs from that one.

    [length] is what the client has been promised, by [measure]. If it would be
    another one now, nothing is sent, and that is a failure. *)

val receive :
     ?length:int64
  -> ?prezeroed:bool
  -> (int -> unit)
  -> Unix.file_descr
  -> string
  -> unit
(** [receive ?length ?prezeroed progress socket device] imports what comes from
    [socket] onto [device].

    [length] is the Content-Length of the request, if there is one. Without it
    the end of a stream that is cut short is not seen while the client keeps
    the connection open.

    [prezeroed], the default, leaves alone what the image does not allocate,
    because the device reads as zeroes or holds the base of a differential
    image. Otherwise that is zeroed: right for a full image on a device with
    old data, and never for a differential one. *)

val parse_header : string -> int * int list
(** The size of a cluster of a qcow2 image in bytes, and the numbers of the
    clusters of its disk that hold data, here or in a backing file; ascending.
    For exports to XVA, as the next one. *)

val parse_header_interval : string -> int * (int * int) list
(** The same, with the first and the last number of each run of clusters. No
    cluster is in two of them. *)
