/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests who is said to know what of an image is data. */

#include "config.h"

#include "base/io.h"
#include "export/flat.h"
#include "test.h"

static const struct {
    const char *name, *format, *bytes;
    size_t length;
    uint64_t offset;
    enum map_origin role;
} cases[] = {
    {"raw, whatever is in it", "raw", "QFI\xfb", 4, 0, MAP_BY_FILE_SYSTEM},
    {"qcow2 has tables", "qcow2", "QFI\xfb", 4, 0, MAP_BY_TABLES},
    {"qed has tables", "qed", "QED", 4, 0, MAP_BY_TABLES},
    {"a VHD that grows has its footer in front, too", "vpc", "conectix", 8, 0,
     MAP_BY_TABLES},
    {"a fixed VHD has it at the end only", "vpc", "conectix", 8, 4096,
     MAP_BY_FILE_SYSTEM},
    {"a VDI that grows", "vdi", "\1\0\0\0", 4, 76, MAP_BY_TABLES},
    {"a static VDI", "vdi", "\2\0\0\0", 4, 76, MAP_BY_FILE_SYSTEM},
    {"a VDI that is too short", "vdi", "\2", 1, 76, MAP_BY_TABLES},
    {"a VMDK in one file", "vmdk", "KDMV FLAT ", 10, 0, MAP_BY_TABLES},
    {"a VMDK of ESX", "vmdk", "COWD FLAT ", 10, 0, MAP_BY_TABLES},
    {"a VMDK that names sparse parts", "vmdk",
     "# Disk DescriptorFile\nRW 8 SPARSE \"x-s001.vmdk\"\n", 48, 0,
     MAP_BY_TABLES},
    {"a VMDK that names a flat part", "vmdk",
     "# Disk DescriptorFile\nRW 8 SPARSE \"x\"\nRW 8 FLAT \"y\" 0\n", 55, 0,
     MAP_BY_FILE_SYSTEM},
    {"an empty VMDK", "vmdk", "", 0, 0, MAP_BY_TABLES},
    {"VHDX: QEMU has no map of it", "vhdx", "vhdxfile", 8, 0, MAP_BY_NOBODY},
    {"nor of what we have never heard of", "dmg", "", 0, 0, MAP_BY_NOBODY},
};

int main(void)
{
    test_begin();
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        int fd = test_file();

        TEST(cases[i].name);
        CHECK_INT(io_pwrite_full(fd, cases[i].bytes, cases[i].length,
                                 cases[i].offset),
                  0);
        CHECK_INT(map_origin_of(cases[i].format, fd), cases[i].role);
        close(fd);
    }
    return test_end();
}
