package containerfile

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/libresh/libre/internal/fault"
)

// serveAgents opens a socket for each agent that the file requests, in a new folder below
// dir that belongs to owner. Each socket serves a private key, or forwards to an agent of
// this machine, which a confined engine cannot reach itself. Clients can sign and list public
// keys, nothing else. sockets has the paths by id; end closes the sockets.
//
// buildah opens sockets in its temporary folder, and the path of a socket is limited to
// 107 bytes: variables has a short path for that folder.
func (j *job) serveAgents(dir string, owner int) (sockets map[string]string, variables []string, end func(), err error) {
	if len(j.agents) == 0 {
		return nil, nil, func() {}, nil
	}
	folder, err := os.MkdirTemp(dir, "ssh-")
	if err != nil {
		return nil, nil, nil, err
	}
	var listeners []net.Listener
	end = func() {
		for _, l := range listeners {
			l.Close()
		}
		os.RemoveAll(folder)
	}
	short := filepath.Join(folder, "tmp")
	if err := os.Symlink(filepath.Join(j.tmp, "engine"), short); err != nil {
		end()
		return nil, nil, nil, err
	}
	sockets = map[string]string{}
	for i, id := range slices.Sorted(maps.Keys(j.agents)) {
		ask, err := agentFor(j.agents[id])
		if err != nil {
			end()
			return nil, nil, nil, fmt.Errorf("build.ssh.%s: %w", id, err)
		}
		path := filepath.Join(folder, fmt.Sprint(i))
		l, err := net.Listen("unix", path)
		if err != nil {
			end()
			return nil, nil, nil, err
		}
		listeners = append(listeners, l)
		go serveAgent(l, ask)
		sockets[id] = path
	}
	if err := chownAll(folder, owner); err != nil {
		end()
		return nil, nil, nil, err
	}
	return sockets, []string{"TMPDIR=" + short}, end, nil
}

// sshFlags returns the flags of "build" for the sockets of agents, by id.
func sshFlags(sockets map[string]string) []string {
	var flags []string
	for _, id := range slices.Sorted(maps.Keys(sockets)) {
		flags = append(flags, "--ssh="+id+"="+sockets[id])
	}
	return flags
}

// agentFor makes an agent for a private key in PEM, or connects to the agent at the path
// of a socket.
func agentFor(value string) (func() (agent.ExtendedAgent, error), error) {
	if !isKey(value) {
		dial := func() (agent.ExtendedAgent, error) {
			c, err := net.Dial("unix", value)
			if err != nil {
				return nil, err
			}
			return agent.NewClient(c), nil
		}
		ask, err := dial()
		if err == nil {
			_, err = ask.List()
		}
		if err != nil {
			return nil, &fault.Fault{Err: errors.New("no SSH agent answers at the configured socket"), Fix: "start one with ssh-agent, or set the file of a private key"}
		}
		return dial, nil
	}
	key, err := ssh.ParseRawPrivateKey([]byte(value))
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, &fault.Fault{Err: errors.New("the private key has a passphrase"), Fix: "add it to ssh-agent, and set environment: SSH_AUTH_SOCK"}
	case err != nil:
		return nil, errors.New("the configured value is not a valid private key") // err may quote it
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		return nil, errors.New("SSH agents do not support this private key")
	}
	return func() (agent.ExtendedAgent, error) { return ring.(agent.ExtendedAgent), nil }, nil
}

func serveAgent(l net.Listener, ask func() (agent.ExtendedAgent, error)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if keys, err := ask(); err == nil {
				_ = agent.ServeAgent(signer{keys}, c)
			}
		}()
	}
}

// signer is an agent that signs and lists public keys; its keys cannot be changed.
type signer struct{ agent.ExtendedAgent }

var errSignsOnly = errors.New("this agent only signs")

func (signer) Add(agent.AddedKey) error                 { return errSignsOnly }
func (signer) Remove(ssh.PublicKey) error               { return errSignsOnly }
func (signer) RemoveAll() error                         { return errSignsOnly }
func (signer) Lock([]byte) error                        { return errSignsOnly }
func (signer) Unlock([]byte) error                      { return errSignsOnly }
func (signer) Extension(string, []byte) ([]byte, error) { return nil, agent.ErrExtensionUnsupported }
