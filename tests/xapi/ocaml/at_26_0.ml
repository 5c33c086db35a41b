(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* SPDX-FileCopyrightText: the qcow-tool authors *)
(* Stands in for what xen-api v26.0.0 to v26.15.1, and v26.1.0 to v26.1.10,
   have and older or younger ones have not, or not so. *)

module Xapi_globs = At_25_27.Xapi_globs

module Xapi_vdi_helpers : sig
  type backing_file_error =
    | Driver_mismatch of {expected: string; actual: string option}
    | Driver_unknown of {path: string}
    | Not_a_device

  val backing_file_of_device_with_driver :
    string -> driver:string -> (string, backing_file_error) result

  val get_nbd_device : string -> (string * string) option
end = struct
  type backing_file_error =
    | Driver_mismatch of {expected: string; actual: string option}
    | Driver_unknown of {path: string}
    | Not_a_device

  let backing_file_of_device_with_driver device ~driver =
    match At_25_27.Tapctl.(of_device (create ()) device) with
    | _, _, Some (actual, image) when actual = driver ->
        Ok image
    | _, _, backing_info ->
        let actual = Option.map fst backing_info in
        Error (Driver_mismatch {expected= driver; actual})
    | exception At_25_27.Tapctl.Not_blktap ->
        Error (Driver_unknown {path= device})

  let get_nbd_device = At_25_27.Stream_vdi.get_nbd_device
end
