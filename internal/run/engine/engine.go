// Package engine runs containers without rights: by runc, podman or docker. Each has its
// root file system read-only, no capabilities, and reaches the others by their names.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/oci/layout"
)

// Image is an image in a layout on this machine, or one that the engine fetches.
type Image struct {
	Name   string         // for people, and for the engine if Layout is nil
	Layout *layout.Layout // nil: the engine fetches Name
	Digest string         // of the index or manifest in the layout
}

// Container describes a container to run.
type Container struct {
	Name        string // by which others reach it
	Image       Image
	Entrypoint  []string // nil: the image's
	Command     []string // nil: the image's, unless there is an entrypoint
	User        string   // UID, UID:GID or a name; "" is the image's
	Environment map[string]string
	Secrets     string // file with variables, NAME=VALUE, one a line; "" for none
	Tmpfs       []string
	Mounts      []Mount
	CPUs        string // cores, such as 0.5; "" is no limit
	Memory      int64  // bytes; 0 is no limit
	Output      io.Writer

	Input    *os.File // for a container that reads; nil for none
	Terminal bool     // Input is a terminal
}

// Mount is a named volume, which is kept beside the container, or a file that it reads.
type Mount struct {
	Volume   string // "" for a file
	File     string // absolute
	Target   string
	ReadOnly bool
}

// Process is a container that was started.
type Process interface {
	Done() <-chan struct{} // closed when it has ended
	Err() error            // why it ended, once it has; nil for exit code 0
}

// Engine runs the containers of one app, in a network of their own.
type Engine interface {
	// String names the engine and its version.
	String() string
	// Reach fetches an image that is in no layout, unless the engine has it. An engine that
	// cannot fetch images returns an error.
	Reach(ctx context.Context, image string) error
	// Start starts a container, and returns when it runs, or has failed to.
	Start(ctx context.Context, c Container) (Process, error)
	// Exec runs a program in a container. It is an error if the exit code is not 0.
	Exec(ctx context.Context, container string, command []string) error
	// Dial connects with a port of a container, NAME:PORT.
	Dial(ctx context.Context, address string) (net.Conn, error)
	// Join makes the network for containers of these names. What they send to the names in
	// provided reaches the sockets of Provide.
	Join(ctx context.Context, containers, provided []string) error
	// Provide forwards connections of containers to a port of a provided name to a socket
	// in Options.Sockets.
	Provide(port int, socket string) error
	// Close ends all containers, and removes all but volumes. Remove removes these, too.
	Close() error
	Remove() error
}

// Options say where an app runs.
type Options struct {
	Name    string // of the instance, a DNS label
	Dir     string // that only this user can read; what is in it is removed by Close
	Data    string // folder for volumes, if the engine has none of its own
	Sockets string // folder of sockets
}

// Names are the engines, in the order of preference.
var Names = []string{"podman", "docker", "runc"}

// Find finds the engine with a name, or the first that works; "" is any.
func Find(ctx context.Context, name string) (string, error) {
	check := map[string]func(context.Context) error{
		"podman": func(ctx context.Context) error { return checkClient(ctx, "podman") },
		"docker": func(ctx context.Context) error { return checkClient(ctx, "docker") },
		"runc":   func(context.Context) error { return checkRunc() },
	}
	if name != "" {
		if check[name] == nil {
			return "", &fault.Fault{Kind: fault.Usage, Err: fmt.Errorf("engine %q, expected %s", name, strings.Join(Names, ", "))}
		}
		return name, check[name](ctx)
	}
	var why []string
	for _, name := range Names {
		err := check[name](ctx)
		if err == nil {
			return name, nil
		}
		why = append(why, fault.Reason(err))
	}
	return "", &fault.Fault{Err: errors.New("there is no engine to run containers: " + strings.Join(why, "; ")), Fix: "apt-get install podman"}
}

// Open prepares an engine, and removes what a killed run left behind.
func Open(ctx context.Context, name string, o Options) (Engine, error) {
	if name == "runc" {
		return openRunc(ctx, o)
	}
	return openClient(ctx, name, o)
}

// lookPath also finds what is in root's PATH alone.
func lookPath(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if path, err := exec.LookPath(dir + program); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", program)
}
