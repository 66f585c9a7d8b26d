package containerfile

import (
	"bufio"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/text"
)

//go:embed confine.sh
var confineScript string

// confinement isolates a build from this machine. The engine runs in its own namespaces
// (confine.sh), and each RUN step in a container of an OCI runtime. If no runtime works,
// an engine without root runs steps in a chroot, without the capabilities to leave it.
// For root a chroot is no barrier: it contains the devices of the machine.
type confinement struct {
	isolation string // oci or chroot
	runtime   string // path of runc or crun, "" for a chroot
	mapped    bool   // root is mapped to an unused user: userns.go
	network   string // path of slirp4netns; "": no network
	offline   string // why there is no network, with a fix
}

// chrootDropped lists capabilities that builds do not need, and that a process could use to
// leave a chroot or to reach other processes.
var chrootDropped = []string{"CAP_SYS_CHROOT", "CAP_KILL", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE"}

// flags returns the flags of "build".
func (c *confinement) flags() []string {
	flags := []string{"--isolation", c.isolation, "--network", "host"} // the host is the network namespace of confine.sh
	if c.isolation == "chroot" {
		for _, capability := range chrootDropped {
			flags = append(flags, "--cap-drop", capability)
		}
	}
	return flags
}

// String describes the isolation of steps, for people.
func (c *confinement) String() string {
	how := "a chroot without CAP_SYS_CHROOT"
	if c.isolation == "oci" {
		how = "containers of " + filepath.Base(c.runtime)
	}
	if c.mapped {
		how += ", in a user namespace"
	}
	if c.network == "" {
		return how + ", without network"
	}
	return how + ", with network but without this machine's loopback"
}

// Confinement describes how steps are isolated from this machine, and, if they have no
// network, why. The error says what is missing and has a fix.
func (b *Builder) Confinement(ctx context.Context) (how, offline string, err error) {
	switch b.engine.Name {
	case "buildkit":
		how, err = b.engine.isolations(ctx)
		return how, "", err
	case "docker":
		out, err := newOutput(ctx, "", nil)
		if err != nil {
			return "", "", err
		}
		how, err = docker{b.engine, out, os.TempDir()}.confinement()
		return how, "", err
	}
	if err := b.storage.open(ctx); err != nil {
		return "", "", err
	}
	defer b.storage.clean(ctx)
	unlock, _, err := b.storage.lock(ctx, false)
	if err != nil {
		return "", "", err
	}
	defer unlock()
	if err := b.storage.makeRunRoot(); err != nil {
		return "", "", err
	}
	c, err := b.storage.confine(ctx)
	if err != nil {
		return "", "", err
	}
	if c.network == "" {
		offline = c.offline
	}
	how = c.String()
	if b.storage.unmappedReason != "" {
		how += "; root in steps is root of this machine, because no user namespace works: " + b.storage.unmappedReason
	}
	return how, offline, nil
}

// confinementCache holds the confinement that was found for this engine, storage and user.
type confinementCache struct {
	once  sync.Once
	found *confinement
	why   string // why no confinement works
}

// confine returns the strictest confinement that works here, found by trying. The error
// says what is missing and has a fix.
func (s *storage) confine(ctx context.Context) (*confinement, error) {
	s.confined.once.Do(func() { s.confined.found, s.confined.why = s.findConfinement(ctx) })
	if s.confined.found != nil {
		return s.confined.found, nil
	}
	return nil, &fault.Fault{
		Err: fmt.Errorf("%s cannot isolate build steps from this machine: %s", s.engine, s.confined.why),
		Fix: "apt-get install runc slirp4netns uidmap, or build without root; or trust upstreams: set build: {trustUpstream: true} in libre.yaml",
	}
}

func (s *storage) findConfinement(ctx context.Context) (*confinement, string) {
	network, _ := exec.LookPath("slirp4netns")
	var candidates []confinement
	for _, name := range []string{"runc", "crun"} {
		if runtime := lookPath(name); runtime != "" {
			candidates = append(candidates, confinement{isolation: "oci", runtime: runtime, mapped: s.mapped, network: network})
		}
	}
	if os.Geteuid() != 0 {
		candidates = append(candidates, confinement{isolation: "chroot", network: network})
	}
	if network != "" {
		for _, c := range slices.Clone(candidates) {
			candidates = append(candidates, confinement{isolation: c.isolation, runtime: c.runtime, mapped: c.mapped})
		}
	}
	why, offline := "neither runc nor crun is installed", "apt-get install slirp4netns"
	for _, c := range candidates {
		err := s.try(ctx, &c)
		if err == nil {
			c.offline = offline
			return &c, ""
		}
		if network, ok := strings.CutPrefix(err.Error(), slirpFailed); ok {
			offline = "slirp4netns: " + network + " (this user must be able to open /dev/net/tun)"
		}
		if ctx.Err() != nil {
			return nil, ctx.Err().Error()
		}
		why = cmp.Or(filepath.Base(c.runtime), c.isolation) + ": " + text.Short(err.Error(), 300)
	}
	return nil, why
}

// lookPath also looks in sbin, where Debian installs runtimes.
func lookPath(name string) string {
	for _, candidate := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	return ""
}

// try builds an image with one step, which runs this machine's "true".
func (s *storage) try(ctx context.Context, c *confinement) error {
	dir, err := os.MkdirTemp(s.root(), "try-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := lookPath("true")
	if program == "" {
		return errors.New("the program true is not installed")
	}
	file := filepath.Join(dir, "Containerfile")
	if err := os.WriteFile(file, []byte("FROM scratch\nRUN [\""+program+"\"]\n"), 0o644); err != nil {
		return err
	}
	args := append([]string{"build", "--quiet", "--no-cache", "--force-rm", "--file", csvLine(file)}, c.flags()...)
	for _, folder := range []string{"/bin", "/lib", "/lib64", "/usr", "/nix"} {
		if exists(folder) {
			args = append(args, "--volume", folder+":"+folder+":ro")
		}
	}
	policy, err := s.policyFlags()
	if err != nil {
		return err
	}
	args = append(append(args, policy...), dir)
	out, err := newOutput(ctx, "", nil)
	if err != nil {
		return err
	}
	ch, err := s.confinedChild(c, "", dir, nil, args)
	if err != nil {
		return err
	}
	err = run(ch, out)
	s.killPauseProcess(filepath.Join(dir, "engine"))
	if err != nil {
		return errors.New(failure("try", out, err).Reason)
	}
	return nil
}

// confinedChild prepares "build" in a confinement. wrapper is the path of a program that
// runs the OCI runtime, "" for none. work is a folder for this build alone: it has the
// engine's temporary files, including cache mounts.
func (s *storage) confinedChild(c *confinement, wrapper, work string, environment []string, args []string) (child, error) {
	flags := slices.Clone(s.flags)
	if runtime := cmp.Or(wrapper, c.runtime); runtime != "" {
		if s.engine.Name == "podman" {
			flags = append(flags, "--runtime", runtime)
		} else {
			args = slices.Insert(slices.Clone(args), 1, "--runtime", runtime)
		}
	}
	if s.engine.Name == "podman" {
		flags = append(flags, "--cgroup-manager", "cgroupfs") // systemd's socket is in /run, which is hidden
	}
	ch := s.child(flags, args...)
	temp := filepath.Join(work, "engine")
	_ = os.MkdirAll(temp, 0o700)
	ch.env = append(slices.DeleteFunc(ch.env, isForFetching), "TMPDIR="+temp, "HOME="+temp) // homes are hidden
	ch.env = append(ch.env, environment...)
	ch.attributes, ch.confined = nil, c

	kept := []string{s.root(), s.runRoot(), work}
	hidden := hiddenFolders(c.mapped, kept...)
	for _, program := range []string{s.engine.Path, c.runtime, lookPath("unshare")} {
		folder := filepath.Dir(program)
		if isBelow(program, hidden) && !slices.Contains(kept, folder) {
			kept = append(kept, folder)
		}
	}
	enter := []string{"unshare", "--mount", "--"}
	if os.Geteuid() != 0 {
		enter = append([]string{s.engine.Path, "unshare", "--"}, enter...)
	}
	yesNo := map[bool]string{true: "yes", false: "no"}
	all := slices.Concat(enter, []string{"sh", "-c", confineScript, "confine.sh", yesNo[c.network != ""], yesNo[c.mapped]}, hidden, []string{"--"}, kept, []string{"--", s.engine.Path}, ch.args)
	ch.path, ch.args = all[0], all[1:]
	if c.mapped {
		return ch, chownAll(work, firstID)
	}
	return ch, nil
}

// hiddenFolders lists folders with sockets and credentials, such as homes, and, if root
// is mapped, parents of the kept folders that it cannot enter.
func hiddenFolders(mapped bool, kept ...string) []string {
	hidden := []string{"/root", "/home", os.Getenv("HOME"), "/run", "/tmp", "/var/tmp", "/dev/shm"}
	if mapped {
		for _, path := range kept {
			hidden = append(hidden, closedFolder(path))
		}
	}
	hidden = slices.DeleteFunc(hidden, func(folder string) bool { return !filepath.IsAbs(folder) || filepath.Clean(folder) == "/" })
	slices.Sort(hidden) // parents come first
	return slices.Compact(hidden)
}

func isBelow(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(path, folder+"/") })
}

// connect starts a confined child: it reads the process ID that confine.sh prints, maps
// the user and group IDs, connects the network, and lets the child continue. wait copies
// the child's output to out until it ends, then stops the network. Standard input stays
// open, because confine.sh ends with it.
func (c *confinement) connect(cmd *exec.Cmd, out io.Writer) (wait func(), err error) {
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(stdout)
	first, err := lines.ReadString('\n')
	pid, notANumber := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || notANumber != nil {
		io.WriteString(out, first)
		return func() { io.Copy(out, lines) }, nil // it failed, and prints why
	}
	end := func() {}
	if c.mapped {
		err = mapIDs(pid)
	}
	if err == nil && c.network != "" {
		end, err = startNetwork(c.network, pid)
	}
	if err != nil {
		fmt.Fprintln(out, "Error:", err)
		stdin.Close() // then read fails, and confine.sh ends
		return func() { io.Copy(out, lines) }, nil
	}
	io.WriteString(stdin, "go on\n")
	return func() { io.Copy(out, lines); end() }, nil
}

const slirpFailed = "slirp4netns: "

// startNetwork connects the network namespace of a process to the network, but not to
// this machine's loopback: slirp4netns forwards its traffic from user space.
// https://github.com/rootless-containers/slirp4netns/blob/v1.2.0/slirp4netns.1.md
func startNetwork(slirp string, pid int) (end func(), err error) {
	ready, readyInside, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	cmd := exec.Command(slirp, "--configure", "--mtu=65520", "--disable-host-loopback", "--ready-fd=3", strconv.Itoa(pid), "tap0")
	cmd.Env = process.Environment()
	cmd.ExtraFiles = []*os.File{readyInside}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var output process.Capture
	output.Most, output.End = 1000, true
	cmd.Stdout, cmd.Stderr = &output, &output
	ended, err := process.StartBound(cmd, syscall.SIGKILL)
	readyInside.Close()
	if err != nil {
		return nil, err
	}
	if n, _ := ready.Read(make([]byte, 1)); n == 0 {
		<-ended
		return nil, fmt.Errorf(slirpFailed+"%s", text.Line(output.String()))
	}
	return func() {
		_ = cmd.Process.Kill()
		<-ended
	}, nil
}
