package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

func (c *client) Dial(ctx context.Context, address string) (net.Conn, error) {
	if err := c.openGate(ctx); err != nil {
		return nil, err
	}
	return dialGate(ctx, c.gate, address)
}

// Provide makes a socket that the gate can use, since the server's own may be another user's.
func (c *client) Provide(port int, socket string) error {
	name := fmt.Sprint(port)
	listener, err := net.Listen("unix", filepath.Join(c.gate, name))
	if err != nil {
		return err
	}
	c.relays = append(c.relays, listener)
	go relay(listener, func() (net.Conn, error) { return net.Dial("unix", filepath.Join(c.o.Sockets, socket)) })
	c.provided = append(c.provided, fmt.Sprintf("%d=%s", port, name))
	return nil
}

// gateImage is an image without files: the gate's program is this machine's libre.
const gateImage = "localhost/libre-gate:1"

// openGate starts the gate, once all that it leads to is known.
func (c *client) openGate(ctx context.Context) error {
	c.mu.Lock()
	opened := c.opened
	c.opened = true
	c.mu.Unlock()
	if opened {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := c.makeGateImage(ctx); err != nil {
		return fmt.Errorf("making the gate: %w", err)
	}
	args := append([]string{"run", "--detach"}, c.confined("gate", 0)...)
	for _, provided := range c.outside {
		if c.name == "docker" {
			args = append(args, "--network-alias", provided)
		}
	}
	args = append(args, "--user", c.gateUser(), "--security-opt", "label=disable", "--volume", c.gate+":/gate", "--volume", self+":/libre:ro", gateImage, "/libre", "gate", "/gate")
	if _, err := c.do(ctx, nil, append(args, c.provided...)...); err != nil {
		return fmt.Errorf("starting the gate: %w", err)
	}
	for range 100 {
		if _, err := os.Stat(filepath.Join(c.gate, inward)); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("the gate does not start; is this libre linked statically, by CGO_ENABLED=0?")
}

// makeGateImage makes the image, unless it is there.
func (c *client) makeGateImage(ctx context.Context) error {
	if _, err := c.do(ctx, nil, "image", "inspect", gateImage); err == nil {
		return nil
	}
	var empty bytes.Buffer
	w := tar.NewWriter(&empty)
	if err := errors.Join(w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "gate/", Mode: 0o755}), w.Close()); err != nil {
		return err
	}
	_, err := c.do(ctx, &empty, "import", "-", gateImage)
	return err
}

// gateUser is the user that has the folder of sockets: for podman without root it is the
// container's root.
func (c *client) gateUser() string {
	if c.name == "podman" {
		return "0:0"
	}
	return fmt.Sprintf("%d:%d", os.Geteuid(), os.Getegid())
}
