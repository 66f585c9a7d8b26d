package process

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestBoundProgramsOutliveThreads lets threads end while programs run, as Readable.Start and
// the networks of containers do.
func TestBoundProgramsOutliveThreads(t *testing.T) {
	var programs sync.WaitGroup
	for range 20 {
		programs.Go(func() {
			ended, err := StartBound(exec.Command("sleep", "0.2"), syscall.SIGKILL)
			if err != nil {
				t.Error(err)
				return
			}
			if err := <-ended; err != nil {
				t.Errorf("the program: %v", err)
			}
		})
		for range 10 {
			go func() {
				runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
				time.Sleep(time.Millisecond)
			}()
		}
	}
	programs.Wait()
}

// TestBoundProgramsEndWithTheProcess kills a process that has started a program.
func TestBoundProgramsEndWithTheProcess(t *testing.T) {
	const parent = "LIBRE_TEST_PARENT"
	if os.Getenv(parent) != "" {
		cmd := exec.Command("sleep", "100")
		cmd.Stdout = os.Stdout // which ends when nobody has it
		if _, err := StartBound(cmd, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), parent+"=yes")
	ended := make(chan error)
	go func() {
		_, err := cmd.Output()
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil || err.Error() != "signal: killed" {
			t.Errorf("the parent ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the program goes on without its parent")
	}
}
