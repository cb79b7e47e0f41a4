// Command opens has another process open paths for reading, by ptrace, and says what its kernel answers: opens PID PATH…
//
// What Landlock forbids a process stands nowhere in /proc. A call made in that process meets it, and seccomp and its root file system
// too. Each line is PATH and "ok" or the error's name. Needs root and amd64; the process goes on afterwards.
package main

import (
	"fmt"
	"log"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

// The kernel restarts a call that was interrupted only where this holds the number of one.
const noCall = ^uint64(0)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: opens PID PATH…")
	}
	pid, err := strconv.Atoi(os.Args[1])
	check("read the process id", err)
	// All requests have to come from the thread that attached.
	runtime.LockOSThread()
	check("attach", syscall.PtraceAttach(pid))
	wait(pid)
	var before syscall.PtraceRegs
	check("read the registers", syscall.PtraceGetRegs(pid, &before))
	for _, path := range os.Args[2:] {
		fmt.Println(path, open(pid, before, path))
	}
	check("restore the registers", syscall.PtraceSetRegs(pid, &before))
	check("detach", syscall.PtraceDetach(pid))
}

// open calls openat in the process, which stands behind a call of its own, and closes what that opened.
func open(pid int, before syscall.PtraceRegs, path string) string {
	// Below the stack and its red zone.
	address := (uintptr(before.Rsp) - 128 - 4096) &^ 15
	old := make([]byte, len(path)+1)
	_, err := syscall.PtracePeekData(pid, address, old)
	check("read the stack", err)
	_, err = syscall.PtracePokeData(pid, address, append([]byte(path), 0))
	check("write to the stack", err)
	at := int64(-100)
	fd := call(pid, before, syscall.SYS_OPENAT, uint64(at), uint64(address), syscall.O_RDONLY|syscall.O_CLOEXEC)
	_, err = syscall.PtracePokeData(pid, address, old)
	check("restore the stack", err)
	if fd < 0 {
		return syscall.Errno(-fd).Error()
	}
	call(pid, before, syscall.SYS_CLOSE, uint64(fd), 0, 0)
	return "ok"
}

// call runs one system call with the instruction that the process stopped behind.
func call(pid int, regs syscall.PtraceRegs, number, first, second, third uint64) int64 {
	code := make([]byte, 2)
	_, err := syscall.PtracePeekText(pid, uintptr(regs.Rip)-2, code)
	check("read the code", err)
	if code[0] != 0x0f || code[1] != 0x05 {
		log.Fatalf("the process does not wait in a system call: % x before %x", code, regs.Rip)
	}
	regs.Rip -= 2
	regs.Rax, regs.Orig_rax = number, noCall
	regs.Rdi, regs.Rsi, regs.Rdx, regs.R10 = first, second, third, 0
	check("set the registers", syscall.PtraceSetRegs(pid, &regs))
	check("step", syscall.PtraceSingleStep(pid))
	wait(pid)
	check("read the registers", syscall.PtraceGetRegs(pid, &regs))
	return int64(regs.Rax)
}

func wait(pid int) {
	var status syscall.WaitStatus
	_, err := syscall.Wait4(pid, &status, syscall.WALL, nil)
	check("wait", err)
	if !status.Stopped() {
		log.Fatalf("the process has ended: %v", status)
	}
}

func check(what string, err error) {
	if err != nil {
		log.Fatalf("cannot %s: %v", what, err)
	}
}
