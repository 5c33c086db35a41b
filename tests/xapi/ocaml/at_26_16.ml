(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* SPDX-FileCopyrightText: the qcow-tool authors *)
(* Stands in for what xen-api v26.16.0 to v26.17.0, and v26.1.11 to v26.1.19,
   have and older ones have not, or not so. *)

module Xapi_globs = struct
  let qcow_stream_tool = ref "qcow-stream-tool"

  let qemu_img =
    ref
      (Option.value (Sys.getenv_opt "QEMU_IMG")
         ~default:"/usr/lib64/xen/bin/qemu-img"
      )
end

module Xapi_vdi_helpers = At_26_0.Xapi_vdi_helpers
