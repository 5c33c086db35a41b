(* SPDX-License-Identifier: LGPL-2.1-or-later *)

(** Moves VDIs out of and into xapi as qcow2, by qcow-tool's own commands.

    For [ocaml/xapi] of xen-api, in the place of the module of this name,
    whose callers need no change. What else is in that module ([parse_header],
    [parse_header_interval]) is about other programs: keep it.

    The program is the setting [qcow_stream_tool], which has to be qcow-tool
    itself, not the one that stands in for qcow-stream-tool; [qcow_to_stdout]
    is not used.

    [send] and [receive] return when all of the VDI has been moved, and raise
    [Api_errors.(Server_error (vdi_io_error, [reason]))] in every other case
    in which the program ran; [reason] is the first line that it wrote to its
    standard error. The socket stays open: it is the caller's.

    The callback is given percentages, which only rise, in the thread of the
    caller: 100 after the program has succeeded, and not before. What it
    raises is logged, and does not end the transfer. *)

val update_task_progress : Context.t -> int -> unit
(** The callback for the task of a context. *)

val send :
     ?relative_to:string
  -> (int -> unit)
  -> Unix.file_descr
  -> string
  -> int64
  -> unit
(** [send ?relative_to progress socket device size] exports the VDI of [size]
    bytes that is attached as [device]; with [relative_to], the device of
    another VDI, only what differs from that one. *)

val receive :
     ?length:int64
  -> ?prezeroed:bool
  -> (int -> unit)
  -> Unix.file_descr
  -> string
  -> unit
(** [receive ?length ?prezeroed progress socket device] imports what comes from
    [socket] onto [device].

    [length] is the Content-Length of the request, if there is one: no more
    than that is read.

    [prezeroed], the default, leaves alone what the image does not allocate,
    because the device reads as zeroes or holds the base of a differential
    image. Otherwise that is zeroed: right for a full image on a device with
    old data, and never for a differential one. *)
