(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* SPDX-FileCopyrightText: the qcow-tool authors *)
(* A handler that has the shape of xapi's where import_raw_vdi.patch changes
   it, which is the same in xen-api v25.27.0 to v26.17.0, and little else. *)

open Http

let localhost_handler rpc session_id vdi (req : Request.t) s __context =
  let format : Importexport.Format.t = Qcow in
  req.Request.close <- true ;
  let handle () =
    let headers =
      Http.http_200_ok ~keep_alive:false ()
      @ [Http.Hdr.content_type ^ ": application/octet-stream"]
    in
    Http_svr.headers s headers ;
                ( match format with
                | Qcow ->
                    Sm_fs_ops.with_block_attached_device __context rpc
                      session_id vdi `RW (fun path ->
                        Qcow_tool_wrapper.receive
                          (Qcow_tool_wrapper.update_task_progress __context)
                          s path
                    )
                | Raw | Vhd | Tar ->
                    failwith "not here"
                )
  in
  handle ()
