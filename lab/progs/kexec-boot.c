// SPDX-License-Identifier: GPL-2.0
/*
 * Loads a kernel for kexec, and unless it is to wait for a crash, starts it at once.
 *
 * usage: kexec-boot now|crash KERNEL COMMAND-LINE
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned long flags = KEXEC_FILE_NO_INITRAMFS;
	int fd, on_crash;

	if (argc != 4 || (strcmp(argv[1], "now") && strcmp(argv[1], "crash")))
		errx(2, "usage: kexec-boot now|crash KERNEL COMMAND-LINE");
	on_crash = !strcmp(argv[1], "crash");
	if (on_crash)
		flags |= KEXEC_FILE_ON_CRASH;

	fd = open(argv[2], O_RDONLY);
	if (fd < 0)
		err(1, "%s", argv[2]);
	if (syscall(SYS_kexec_file_load, fd, -1, strlen(argv[3]) + 1, argv[3], flags))
		err(1, "kexec_file_load of %s", argv[2]);
	if (on_crash)
		return 0;

	reboot(LINUX_REBOOT_CMD_KEXEC);
	err(1, "reboot to the new kernel");
}
