(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* SPDX-FileCopyrightText: the qcow-tool authors *)
(* Stands in for what xapi's two handlers of raw VDIs use besides, as far as
   the reduced ones here do: the same in xen-api v25.27.0 and v26.17.0. A VDI
   is the path of a file. *)

module API = struct
  type ref_VDI = string

  type ref_session = string
end

module Http = struct
  module Hdr = struct
    let task_id = "task-id"

    let content_type = "content-type"

    let content_length = "content-length"
  end

  module Request = struct
    type t = {content_length: int64 option; mutable close: bool}
  end

  let http_200_ok ?(version = "1.1") ?(keep_alive = true) () =
    [
      Printf.sprintf "HTTP/%s 200 OK" version
    ; "Connection: " ^ if keep_alive then "keep-alive" else "close"
    ]
end

module Http_svr = struct
  let write fd text =
    let length = String.length text in
    assert (Unix.write_substring fd text 0 length = length)

  let headers fd lines =
    write fd (String.concat "\r\n" lines ^ "\r\n\r\n")

  (* For the last exception of a handler, whatever it has written before. *)
  let response_internal_error fd text =
    let body = "<html><body>" ^ text ^ "</body></html>" in
    headers fd
      [
        "HTTP/1.1 500 Internal Error"
      ; Printf.sprintf "content-length: %d" (String.length body)
      ] ;
    write fd body
end

module Importexport = struct
  module Format = struct
    type t = Raw | Vhd | Tar | Qcow
  end
end

module Sm_fs_ops : sig
  val with_block_attached_device :
       Context.t
    -> 'rpc
    -> API.ref_session
    -> API.ref_VDI
    -> [< `RO | `RW]
    -> (string -> 'a)
    -> 'a

  val must_write_zeroes_into_new_vdi :
    __context:Context.t -> API.ref_VDI -> bool
end = struct
  let with_block_attached_device _ _ _ vdi _ f =
    if Sys.file_exists vdi then
      f vdi
    else
      raise (Api_errors.Server_error ("SR_BACKEND_FAILURE", [vdi]))

  (* It is in a storage repository that does so if there is VDI.thick. *)
  let must_write_zeroes_into_new_vdi ~__context:_ vdi =
    Sys.file_exists (vdi ^ ".thick")
end
