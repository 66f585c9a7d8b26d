package template

import (
	"bufio"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// serve starts a server program on a free port and returns its base URL, from the line that
// it prints. At the end of the test the program gets SIGTERM and must end with exit code 0.
func serve(t *testing.T, program string, env ...string) string {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = append(env, "PORT=0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	base := ""
	var log strings.Builder
	for base == "" && lines.Scan() {
		log.WriteString(lines.Text() + "\n")
		if _, address, ok := strings.Cut(lines.Text(), "listening on "); ok {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				t.Error(err)
				break
			}
			base = "http://" + net.JoinHostPort("127.0.0.1", port)
		}
	}
	if base == "" {
		cmd.Process.Kill()
		cmd.Wait()
		t.Fatalf("%s did not start:\n%s", program, log.String())
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		for lines.Scan() { // to the end, before Wait closes the pipe
			log.WriteString(lines.Text() + "\n")
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s after SIGTERM: %v\n%s", program, err, log.String())
		}
	})
	return base
}
