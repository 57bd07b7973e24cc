#!/bin/bash
# perf kvm record and the symbols of guests
# SPDX-License-Identifier: GPL-2.0

# An agent on this machine plays the guest. Its program is gone before the report, and
# perf's cache of build-ids is a new one for each test.

set -u

out=$(mktemp -d /tmp/__perf_test.kvm_record_symbols.XXXXX)
err=0
# shellcheck source=lib/kvm.sh
. "$(dirname "$0")/lib/kvm.sh"
id=""

# A program that exists nowhere else, by its build-id.
make_program() {
  id=$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n')
  cat > "${out}/hot.c" << 'PROGRAM'
#include <unistd.h>

volatile unsigned long sum;

__attribute__((noinline)) void hot_in_the_guest(void)
{
	for (int i = 0; i < 1000; i++)
		sum += i;
}

__attribute__((noinline)) void work(void)
{
	for (int i = 0; i < 300000; i++) {
		hot_in_the_guest();
		getppid();
	}
}

/* By frame pointers, the caller of a function that calls none may be left out. */
__attribute__((noinline)) void caller_in_the_guest(void)
{
	for (int i = 0; i < 2; i++)
		work();
}

int main(void)
{
	caller_in_the_guest();
	return 0;
}
PROGRAM
  ${CC:-cc} -O1 -fno-omit-frame-pointer -fno-optimize-sibling-calls -Wl,--build-id="0x${id}" \
    -o "${out}/hot" "${out}/hot.c" 2> "${out}/cc.log"
}

start_agent() {
  printf 'events cpu-clock sched:sched_switch\nworkload yes\n' > "${out}/policy"
  perf kvm agent --listen "unix:${out}/agent.sock" --policy "${out}/policy" \
    2> "${out}/agent.log" &
  agent=$!
  until_true grep -qs listening "${out}/agent.log"
}

# An agent that sends another program than the one that it was asked for.
start_liar() {
  python3 - "${out}/liar.sock" "${out}/agent.sock" "${id}" << 'LIAR' &
import socket, struct, sys, threading

path, agent, ident = sys.argv[1:]
ident = bytes.fromhex(ident)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()

def take(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data

def pass_on(source, sink):
    while piece := source.recv(65536):
        sink.sendall(piece)

host, _ = listener.accept()
guest = socket.socket(socket.AF_UNIX)
guest.connect(agent)
threading.Thread(target=pass_on, args=(host, guest), daemon=True).start()
try:
    while True:
        header = take(guest, 16)
        size, kind = struct.unpack_from("<IH", header)
        body = take(guest, size - 16)
        if kind == 10: # DATA
            body = body.replace(ident, bytes(reversed(ident)))
        host.sendall(header + body)
except EOFError:
    pass
LIAR
  until_true [ -S "${out}/liar.sock" ]
}

# new_home: with an empty cache
new_home() {
  export HOME="${out}/home.$1"
  mkdir -p "${HOME}"
}

# cached: the program's file in the cache
cached() {
  find "${HOME}/.debug/.build-id/${id:0:2}/${id:2}/" -name elf 2> /dev/null
}

# record SOCKET OPTION...: the program, or another one, which is gone afterwards
record() {
  local socket=$1 status=0
  shift
  cp -p "${program:-${out}/hot}" "${out}/program"
  timeout 120 perf kvm record -o "${out}/data" -e cpu-clock -F 500 -g --separate-events \
    --no-buildid-cache --guest="unix:${out}/${socket},pid=${agent},name=g" --guest-exec "$@" \
    -- "${out}/program" > "${out}/stderr" 2>&1 < /dev/null || status=$?
  rm -f "${out}/program"
  [ ${status} -eq 0 ] && return
  echo "the recording ended with ${status}:"
  cat "${out}/stderr"
  return 1
}

# count PATTERN: in the guest's part of the report
count() {
  perf report -i "${out}/data" --stdio -G 2> /dev/null |
    sed -n "/of event 'cpu-clock@g'/,\$p" | grep -Ec -- "$1"
}

test_files() {
  local name="Files" before

  new_home files
  record agent.sock -v || fail "${name}" "status"
  [ -n "$(cached)" ] || fail "${name}" "the program is not in the cache"
  [ "$(count "program .*hot_in_the_guest")" -gt 0 ] || fail "${name}" "its function"
  [ "$(count "caller_in_the_guest")" -gt 0 ] || fail "${name}" "its caller"
  perf buildid-list -i "${out}/data" | grep -q "${id} .*/program" || fail "${name}" "the list"
  # The guest's path is not made here, in or outside of the cache.
  (cd "${HOME}" && find . -path "*${out}*" | grep -q .) && fail "${name}" "a path of the guest"

  # An entry that is there is not touched.
  echo mine > "$(cached)"
  record agent.sock || fail "${name}" "status of a second recording"
  before=$(cat "$(cached)")
  [ "${before}" = mine ] || fail "${name}" "an entry was changed"
}

# The formats of events, which stand between the records, are stepped over.
test_tracepoint() {
  local name="Tracepoint"

  if ! perf record -a -e sched:sched_switch -o /dev/null -- true > /dev/null 2>&1
  then
    echo "${name} [Skipped: no tracepoint can be recorded]"
    return
  fi
  new_home tracepoint
  record agent.sock -v --guest-event=cpu-clock --guest-event=sched:sched_switch ||
    fail "${name}" "status"
  [ -n "$(cached)" ] || fail "${name}" "the program is not in the cache"
  [ "$(count "program .*hot_in_the_guest")" -gt 0 ] || fail "${name}" "its function"
}

test_kernel() {
  local name="Kernel" kallsyms

  if ! grep -q "^0*[1-9a-f][0-9a-f]* . _text$" /proc/kallsyms
  then
    echo "${name} [Skipped: the kernel hides its addresses from this user]"
    return
  fi
  new_home kernel
  rm -rf "${out}/data" "${out}/data.old"
  record agent.sock || fail "${name}" "status"
  kallsyms="${out}/data/kcore_dir__${agent}/kallsyms"
  [ -s "${kallsyms}" ] || fail "${name}" "no list of symbols"
  [ "$(count "guest.kernel.kallsyms")" -gt 0 ] || fail "${name}" "nothing of the kernel"
  # The guest's list is used, and not that of this kernel, which is the same here.
  sed -i 's/^\(.* [tT] \)/\1of_the_guest_/; s/ of_the_guest_\(_text\|_stext\)$/ \1/' "${kallsyms}"
  [ "$(count "guest.kernel.kallsyms.* of_the_guest_")" -gt 0 ] || fail "${name}" "its functions"
  perf kvm report -i "${out}/data" --stdio 2> /dev/null | grep -q "of_the_guest_" ||
    fail "${name}" "perf kvm report"

  # A directory is moved away, and replaced, as a file is.
  record agent.sock || fail "${name}" "status of a second recording"
  record agent.sock || fail "${name}" "status of a third recording"
  [ -f "${out}/data.old/data" ] || fail "${name}" "the older output"
  find "${out}" -name 'data.parts.*' | grep -q . && fail "${name}" "the parts are left"
}

# A guest that hides its kernel's symbols does not get this kernel's.
test_hidden() {
  local name="Hidden kernel"

  new_home hidden
  record agent.sock -v --guest-symbols-max-size=4096 || fail "${name}" "status"
  says "guest 'g': no symbols of its kernel: .*longer than" || fail "${name}" "text"
  if [ -d "${out}/data" ]
  then
    [ "$(count "guest.kernel.kallsyms.*\] +[a-z_]")" -eq 0 ] || fail "${name}" "wrong names"
  fi
}

# A program that is in the vDSO, by a clock that the vDSO has on each machine.
make_clocks() {
  cat > "${out}/clocks.c" << 'PROGRAM'
#include <time.h>

int main(void)
{
	struct timespec ts;

	for (int i = 0; i < 30000000; i++)
		clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return 0;
}
PROGRAM
  ${CC:-cc} -O1 -o "${out}/clocks" "${out}/clocks.c" 2> "${out}/cc.log"
}

# Only the cache has its names here: without the file there are none.
test_vdso() {
  local name="vDSO" program="${out}/clocks" file

  if ! grep -q "\[vdso\]$" /proc/self/maps
  then
    echo "${name} [Skipped: this kernel maps none]"
    return
  fi
  make_clocks || fail "${name}" "the program: $(head -1 "${out}/cc.log")"
  new_home vdso
  record agent.sock -v || fail "${name}" "status"
  if [ "$(count "\[vdso\]")" -eq 0 ]
  then
    echo "${name} [Skipped: no sample hit it, as this clock is read by the kernel]"
    return
  fi
  file=$(find "${HOME}/.debug/" -name vdso -type f)
  [ -n "${file}" ] || fail "${name}" "it is not in the cache"
  perf buildid-list -i "${out}/data" | grep -q " \[vdso\]$" || fail "${name}" "the list"
  [ "$(count "\[vdso\] .*clock_gettime")" -gt 0 ] || fail "${name}" "its functions"
  rm -f "${file}"
  [ "$(count "\[vdso\] .*clock_gettime")" -eq 0 ] || fail "${name}" "names of another one"
}

# The guest's kernel reads a file system, which most often is a module.
test_modules() {
  local name="Modules" program="${out}/walk" ids id

  if [ ! -s /proc/modules ]
  then
    echo "${name} [Skipped: this kernel has none]"
    return
  fi
  printf '#!/bin/sh\nfind / -xdev -type f -size +1G > /dev/null 2>&1\n' > "${program}"
  chmod +x "${program}"
  new_home modules
  record agent.sock -v || fail "${name}" "status"
  ids=$(perf buildid-list -i "${out}/data" | sed -n 's/^\([0-9a-f]*\) .*\.ko[.a-z]*$/\1/p')
  if [ -z "${ids}" ]
  then
    echo "${name} [Skipped: no sample hit one that has a file]"
    return
  fi
  for id in ${ids}
  do
    [ -s "${HOME}/.debug/.build-id/${id:0:2}/${id:2}/elf" ] ||
      fail "${name}" "${id} is not in the cache"
  done
  perf script -i "${out}/data" -G -F machine_pid,ip,sym,dso 2> /dev/null |
    grep "VM:" | grep -Eq "[0-9a-f]+ [a-z_0-9.]+ .*\.ko" || fail "${name}" "their functions"
}

# Memory that is no file has no names, and is no failure.
test_no_file() {
  local name="No file" program="${out}/jit"

  cat > "${out}/jit.c" << 'PROGRAM'
#include <string.h>
#include <sys/mman.h>

__attribute__((noinline)) void spin(void)
{
	for (volatile long i = 0; i < 100000000; i++)
		;
}

int main(void)
{
	void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (code == MAP_FAILED)
		return 1;
	memcpy(code, (void *)spin, 256);
	((void (*)(void))code)();
	return 0;
}
PROGRAM
  if ! ${CC:-cc} -O1 -fcf-protection=none -fno-stack-protector -o "${program}" "${out}/jit.c" \
    2> "${out}/cc.log" || ! "${program}"
  then
    echo "${name} [Skipped: no program that runs in such memory: $(head -1 "${out}/cc.log")]"
    return
  fi
  new_home no_file
  record agent.sock -v || fail "${name}" "status"
  [ "$(count "program +\[JIT\] tid|\[unknown\]|//anon")" -gt 0 ] || fail "${name}" "samples"
  grep -Eq "no symbols of (\[|//|/tmp/perf-)" "${out}/stderr" && fail "${name}" "a failure"
}

test_limit() {
  local name="Limit"

  new_home limit
  record agent.sock -v --guest-symbols-max-file=8K || fail "${name}" "status"
  says "guest 'g': no symbols of .*/program: .*longer than" || fail "${name}" "text"
  [ -z "$(cached)" ] || fail "${name}" "it is in the cache"
  record agent.sock --guest-symbols-max-file=8K || fail "${name}" "status without -v"
  says "there were no symbols of what guests' samples hit; -v" || fail "${name}" "count"
  perf kvm record --guest=unix:x --guest-symbols-max-size=much -- true 2> "${out}/stderr" &&
    fail "${name}" "a size that is none"
  says "--guest-symbols-max-size=much: it takes" || fail "${name}" "text of a size that is none"
}

test_none() {
  local name="No symbols"

  new_home none
  record agent.sock --no-guest-symbols || fail "${name}" "status"
  [ -f "${out}/data" ] || fail "${name}" "the output is no file"
  [ -z "$(cached)" ] || fail "${name}" "it is in the cache"
  [ "$(count "hot_in_the_guest")" -eq 0 ] || fail "${name}" "names from nowhere"
  [ "$(count "program ")" -gt 0 ] || fail "${name}" "samples"
}

test_forged() {
  local name="Forged build-id"

  new_home forged
  start_liar || fail "${name}" "start"
  record liar.sock -v || fail "${name}" "status"
  says "/program: what its agent sent does not have the build-id" || fail "${name}" "text"
  [ -z "$(cached)" ] || fail "${name}" "it is in the cache"
  [ "$(count "hot_in_the_guest")" -eq 0 ] || fail "${name}" "its names"
}

if ! make_program
then
  echo "No compiler that makes a program with a build-id: $(head -1 "${out}/cc.log")"
  exit 2
fi
if ! perf record -q -o "${out}/try" -a -e cpu-clock -- true 2> /dev/null
then
  echo "This user may not record all CPUs"
  exit 2
fi
start_agent || { cat "${out}/agent.log"; exit 1; }
test_files
test_tracepoint
test_kernel
test_hidden
test_vdso
test_modules
test_no_file
test_limit
test_none
if command -v python3 > /dev/null
then
  test_forged
else
  echo "Forged build-id [Skipped: there is no python3]"
fi
[ ${err} -eq 0 ] || cat "${out}/agent.log"
exit ${err}
