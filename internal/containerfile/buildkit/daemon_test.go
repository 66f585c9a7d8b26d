package buildkit

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOnlyAddressesOfDaemonsAreAccepted(t *testing.T) {
	for _, host := range []string{"unix:///run/buildkit/buildkitd.sock", "tcp://builder.example:1234", "tcp://[::1]:1234", "kube-pod://builder-0", "kube-pod://builder-0?namespace=ci&container=buildkitd"} {
		if err := CheckHost(host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"", "builder:1234", "tcp://builder", "tcp://me:secret@builder:1", "tcp://builder:1/path", "unix://relative", "unix:relative", "ssh://builder", "docker-container://b", "kube-pod://", "kube-pod://A_B", "kube-pod://a?namespace=--kubeconfig=/x"} {
		if err := CheckHost(host); err == nil {
			t.Errorf("%s is accepted", host)
		}
		if _, err := Connect(Daemon{Host: host}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// A daemon that does not answer, or something else that does, is one line with the address.
func TestUnreachableDaemonIsOneLine(t *testing.T) {
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	go func() {
		for {
			c, err := web.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			c.Close()
		}
	}()
	for host, reason := range map[string]string{
		"unix:///nowhere/buildkitd.sock": "dial unix /nowhere/buildkitd.sock: connect: no such file or directory",
		"tcp://127.0.0.1:1":              "dial tcp 127.0.0.1:1: connect: connection refused",
		"tcp://" + web.Addr().String():   "",
	} {
		c, err := Connect(Daemon{Host: host})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Facts(context.Background())
		c.Close()
		if err == nil || !strings.HasPrefix(err.Error(), "BuildKit's daemon at "+host+" does not answer: "+reason) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", host, err)
		}
		t.Log(err)
	}
}

// What kubectl says is one line too, without its log.
func TestUnreachablePodIsOneLine(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for said, want := range map[string]string{
		`E1130 14:05:17.814274   30555 memcache.go:265] "Unhandled Error" err="refused"\nThe connection to the server localhost:8080 was refused\n`: "The connection to the server localhost:8080 was refused",
		`exec: "buildctl": executable file not found\ncommand terminated with exit code 126\n`:                                                      `exec: "buildctl": executable file not found, command terminated with exit code 126`,
		"": "it said nothing",
	} {
		if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte("#!/bin/sh\nhead -c 24 >/dev/null\nprintf '"+said+"' >&2\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		c, err := Connect(Daemon{Host: "kube-pod://builder?namespace=ci"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Facts(t.Context())
		c.Close()
		if want = "BuildKit's daemon at kube-pod://builder?namespace=ci does not answer: kubectl: " + want; err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// kubectl may end before anything is written to it. What it said is the error all the same.
func TestWriteToKubectlThatEndedSaysWhy(t *testing.T) {
	_, err := (&kubectlConn{endedConn{}}).Write([]byte("PRI * HTTP/2.0\r\n"))
	if err == nil || err.Error() != "has exited: stderr=refused" {
		t.Error(err)
	}
}

// endedConn is a connection to a program that has ended.
type endedConn struct{ net.Conn }

func (endedConn) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
}
func (endedConn) Read([]byte) (int, error) { return 0, errors.New("has exited: stderr=refused") }
