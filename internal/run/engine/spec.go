package engine

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// spec is the configuration for runc, with the defaults of `runc spec`, and nothing
// privileged: https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md
func (c Container) spec(root, network, hosts string, image v1.Config, volume func(Mount) (string, error)) (*specs.Spec, error) {
	user, err := findUser(root, cmp.Or(c.User, image.User, "0"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Image.Name, err)
	}
	args, err := c.args(image)
	if err != nil {
		return nil, err
	}
	env, err := c.env(image.Env)
	if err != nil {
		return nil, err
	}
	mounts, err := c.mounts(hosts, volume)
	if err != nil {
		return nil, err
	}
	resources, err := c.resources()
	if err != nil {
		return nil, err
	}
	spec := &specs.Spec{
		Version: specs.Version, Hostname: c.Name, Mounts: mounts, Root: &specs.Root{Path: root, Readonly: true},
		Process: &specs.Process{
			Terminal: c.Terminal, User: user, Args: args, Env: env, Cwd: cmp.Or(image.WorkingDir, "/"),
			Capabilities: &specs.LinuxCapabilities{}, NoNewPrivileges: true,
		},
		Linux: &specs.Linux{
			Resources: resources,
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
				{Type: specs.NetworkNamespace, Path: network},
			},
			Sysctl:        map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"}, // as docker and podman do
			MaskedPaths:   []string{"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	// The system calls that docker allows to containers without capabilities.
	spec.Linux.Seccomp, err = seccomp.GetDefaultProfile(spec)
	return spec, err
}

// args returns the command line of the container's process.
func (c Container) args(image v1.Config) ([]string, error) {
	entrypoint, command := image.Entrypoint, image.Cmd
	if c.Entrypoint != nil {
		entrypoint, command = c.Entrypoint, nil
	}
	if c.Command != nil {
		command = c.Command
	}
	if len(entrypoint)+len(command) == 0 {
		return nil, fmt.Errorf("%s has nothing to run: %s has no entrypoint and no command, set one of them in its definition", c.Name, c.Image.Name)
	}
	return slices.Concat(entrypoint, command), nil
}

// env is the image's, with the container's own variables.
func (c Container) env(image []string) ([]string, error) {
	all := slices.Clone(image)
	for name, value := range c.Environment {
		all = append(all, name+"="+value)
	}
	if c.Secrets != "" {
		content, err := os.ReadFile(c.Secrets)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(content)) {
			all = append(all, strings.TrimSuffix(line, "\n"))
		}
	}
	if !slices.ContainsFunc(all, func(variable string) bool { return strings.HasPrefix(variable, "PATH=") }) {
		all = append(all, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	return all, nil
}

func (c Container) mounts(hosts string, volume func(Mount) (string, error)) ([]specs.Mount, error) {
	safe := []string{"nosuid", "noexec", "nodev"}
	all := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc"},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: append(slices.Clone(safe), "mode=1777", "size=65536k")},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: append(slices.Clone(safe), "ro")},
		{Destination: "/etc/hosts", Type: "bind", Source: hosts, Options: append(slices.Clone(safe), "bind", "ro")},
	}
	for _, target := range c.Tmpfs {
		all = append(all, specs.Mount{Destination: target, Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=1777"}})
	}
	for _, m := range c.Mounts {
		source, err := volume(m)
		if err != nil {
			return nil, err
		}
		access := "rw"
		if m.ReadOnly {
			access = "ro"
		}
		all = append(all, specs.Mount{Destination: m.Target, Type: "bind", Source: source, Options: []string{"bind", "nosuid", "nodev", access}})
	}
	return all, nil
}

// resources limit memory, and time of the processors, in periods of 100 ms.
func (c Container) resources() (*specs.LinuxResources, error) {
	r := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}}
	if c.Memory > 0 {
		r.Memory = &specs.LinuxMemory{Limit: &c.Memory}
	}
	if c.CPUs != "" {
		cores, valid := new(big.Rat).SetString(c.CPUs)
		if !valid {
			return nil, fmt.Errorf("%q is not a number of cores", c.CPUs)
		}
		period := uint64(100_000)
		share, _ := cores.Mul(cores, big.NewRat(int64(period), 1)).Float64()
		quota := max(int64(share), 1000) // the least that Linux allows
		r.CPU = &specs.LinuxCPU{Period: &period, Quota: &quota}
	}
	return r, nil
}

// findUser resolves USER[:GROUP] with the image's files. Without a group it is the user's
// own, else 0.
func findUser(root, text string) (specs.User, error) {
	name, group, hasGroup := strings.Cut(text, ":")
	uid, own, err := lookUp(root, "etc/passwd", name)
	if err != nil {
		return specs.User{}, err
	}
	gid := own
	if hasGroup {
		if gid, _, err = lookUp(root, "etc/group", group); err != nil {
			return specs.User{}, err
		}
	}
	return specs.User{UID: uid, GID: gid}, nil
}

// lookUp finds a name or number in a file of lines NAME:x:NUMBER:GROUP.
func lookUp(dir, file, name string) (number, group uint32, err error) {
	parsed, notNumber := strconv.ParseUint(name, 10, 32)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, 0, err
	}
	defer root.Close()
	content, _ := root.ReadFile(file) // an image need not have it
	for line := range bytes.Lines(content) {
		fields := strings.Split(strings.TrimSpace(string(line)), ":")
		if len(fields) < 4 || fields[0] != name && fields[2] != name {
			continue
		}
		number, err := strconv.ParseUint(fields[2], 10, 32)
		group, _ := strconv.ParseUint(fields[3], 10, 32) // of users only
		return uint32(number), uint32(group), err
	}
	if notNumber != nil {
		return 0, 0, fmt.Errorf("its /%s has no %q", file, name)
	}
	return uint32(parsed), 0, nil
}
