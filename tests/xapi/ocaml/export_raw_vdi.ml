(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* SPDX-FileCopyrightText: the qcow-tool authors *)
(* A handler that has the shape of xapi's where export_raw_vdi.patch changes
   it, which is the same in xen-api v25.27.0 to v26.17.0, and little else. *)

module D = Debug.Make (struct let name = "export_raw_vdi" end)

open D

let localhost_handler rpc session_id vdi ?base (req : Http.Request.t) s size
    __context =
  let format : Importexport.Format.t = Qcow in
  req.Http.Request.close <- true ;
  let handle content_type filename =
          debug "%s %s"
            content_type filename ;
          let copy base_path path size =
            try
              debug "%s" path ;
              match format with
              | Qcow ->
                  Qcow_tool_wrapper.send ?relative_to:base_path
                    (Qcow_tool_wrapper.update_task_progress __context)
                    s path size
              | Raw | Vhd | Tar ->
                  failwith "not here"
            with Unix.Unix_error (Unix.EIO, _, _) -> failwith "EIO"
          in
          try
            let headers =
              Http.http_200_ok ~keep_alive:false ()
              @ [
                  Http.Hdr.task_id ^ ":" ^ Context.name __context
                ; Http.Hdr.content_type ^ ":" ^ content_type
                ]
            in
            Http_svr.headers s headers ;
            match format with
            | Raw | Vhd | Tar | Qcow ->
                Sm_fs_ops.with_block_attached_device __context rpc session_id
                  vdi `RO (fun path ->
                    match base with
                    | Some base_vdi ->
                        Sm_fs_ops.with_block_attached_device __context rpc
                          session_id base_vdi `RO (fun base_path ->
                            copy (Some base_path) path size
                        )
                    | None ->
                        copy None path size
                )
          with e -> error "%s" (Printexc.to_string e) ; raise e
  in
  handle "application/x-qemu-disk" (vdi ^ ".qcow2")
