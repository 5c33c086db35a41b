/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What --help shows. */

#include "config.h"

#include "cli/help.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const group_names[GROUP_COUNT] = {
    [GROUP_SOURCE] = "Source",
    [GROUP_DESTINATION] = "Destination",
    [GROUP_IMAGE] = "Image",
    [GROUP_TRANSFER] = "Transfer",
    [GROUP_PROGRESS] = "Progress and messages",
    [GROUP_QEMU] = "QEMU",
    [GROUP_VHD_TOOL] = "For callers of vhd-tool",
};

/* text is cut at its newlines and set in a column, below what is too long to
 * stand beside it.
 */
static void print_column(const char *left, const char *text)
{
    enum { WIDTH = 32 };

    printf("  %-*s", WIDTH - 2, left);
    if (strlen(left) >= WIDTH - 2)
        printf("\n%*s", WIDTH, "");
    for (; *text != '\0'; text++) {
        putchar(*text);
        if (*text == '\n')
            printf("%*s", WIDTH, "");
    }
    putchar('\n');
}

static void print_option(const struct option_spec *spec)
{
    char left[64] = "    ";

    if (spec->letter != 0)
        snprintf(left, sizeof left, "-%c, ", spec->letter);
    snprintf(left + strlen(left), sizeof left - strlen(left), "--%s%s%s",
             spec->name, spec->value == NULL ? "" : " ",
             spec->value == NULL ? "" : spec->value);
    print_column(left, spec->help);
}

static void print_group(enum command command, enum option_group group)
{
    bool is_empty = true;

    for (int i = 0; i < option_specs_count; i++) {
        const struct option_spec *spec = &option_specs[i];

        if (spec->group != group || !(spec->commands & 1 << command))
            continue;
        if (is_empty)
            printf("\n%s:\n", group_names[group]);
        is_empty = false;
        print_option(spec);
    }
}

static void print_command(enum command command)
{
    const struct command_spec *spec = &command_specs[command];

    printf("Usage: qcow-tool %s %s\nIt %s.\n", spec->name, spec->usage,
           spec->does);
    for (int group = 0; group < GROUP_COUNT; group++)
        print_group(command, group);
    printf("\nSizes take K, M, G and T, KiB to TiB (all of 1024), and KB to "
           "TB (of 1000).\nMore is in qcow-tool-%s(1).\n",
           spec->name);
}

static void print_program(void)
{
    puts("Usage: qcow-tool COMMAND [OPTION]...\n"
         "Moves virtual disks as qcow2 over sockets; QEMU does the qcow2.\n"
         "\nCommands:");
    for (int i = 0; i < COMMAND_COUNT; i++)
        print_column(command_specs[i].name, command_specs[i].does);
    print_column("help [COMMAND]", "shows this, or the options of a command");
    puts("\nOptions:");
    print_column("-h, --help", "the same as help");
    print_column("-V, --version", "shows the versions, of QEMU and libnbd, "
                                  "too");
    puts("\nExamples:\n"
         "  qcow-tool stream /dev/vg/disk > disk.qcow2\n"
         "  qcow-tool measure /dev/vg/disk\n"
         "  qcow-tool validate /dev/vg/disk\n"
         "  qcow-tool serve /dev/vg/copy < disk.qcow2\n"
         "\nMore is in qcow-tool(1).");
}

void help_print(enum command command)
{
    if (command == COMMAND_NONE)
        print_program();
    else
        print_command(command);
    puts("Exit status: 0 done, 1 failed, 2 wrong usage.");
}
