package process

import (
	"os/exec"
	"runtime"
	"syscall"
)

// StartBound starts a program that gets a signal when this process ends, even if it is killed.
// ended gets the result of Wait, and is closed.
//
// Linux sends the signal when the thread that started the program ends, so the thread is kept
// until the program has ended: threads do end before, such as those that Readable restricts.
// https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html, https://go.dev/issue/27505
func StartBound(command *exec.Cmd, signal syscall.Signal) (ended <-chan error, err error) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = signal
	started, result := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			result <- command.Wait()
			close(result)
		}
	}()
	return result, <-started
}
