package containerfile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/libresh/libre/internal/private"
)

// storage is libre's own storage of buildah or podman, separate from the user's.
//
// When a build ends and no other uses the storage, everything but the cached bases is
// removed (basecache.go). The next build removes what a killed one left behind.
//
// Steps are never cached. buildah 1.28 finds cached steps by their text: it reuses
// RUN --mount=type=bind after the mounted files have changed, ENV A=$B after the argument
// has, and steps on a base with the same layers but another environment. An image must
// depend on its inputs only.
//
// Any number of builds, in several processes, may share a storage: the engines do their
// own locking, a build holds libre's lock shared, and cleaning holds it exclusively.
type storage struct {
	engine Engine
	dir    string
	most   int64         // limit of the cached bases in bytes, 0 for the default
	keep   time.Duration // after the last use, 0 for the default

	once           sync.Once
	mapped         bool   // the engine's root is mapped to an unused user, which owns the storage
	unmappedReason string // why root's engine is not mapped
	flags          []string
	err            error

	confined confinementCache
}

func (s *storage) root() string {
	if s.mapped {
		return filepath.Join(s.dir, s.engine.Name+"-mapped")
	}
	return filepath.Join(s.dir, s.engine.Name)
}

// owner returns the user ID of the engine's root.
func (s *storage) owner() int {
	if s.mapped {
		return firstID
	}
	return os.Geteuid()
}

// runRoot returns the folder of state that must not survive a reboot. It depends only on the
// storage's path: podman refuses a path that changes, or that has more than 50 characters.
func (s *storage) runRoot() string { return s.runRootOf(os.Geteuid()) }

func (s *storage) runRootOf(user int) string {
	sum := sha256.Sum256([]byte(s.root()))
	return fmt.Sprintf("/tmp/libre-%d-%x", user, sum[:6])
}

// open makes the storage's folders and finds a working storage driver.
func (s *storage) open(ctx context.Context) error {
	s.once.Do(func() {
		if os.Geteuid() == 0 {
			if s.unmappedReason = s.openMapped(ctx); s.mapped {
				return
			}
		}
		s.flags, s.err = s.findDriver(ctx)
	})
	return s.err
}

// openMapped opens a storage for an engine in a user namespace. It returns why that does
// not work, else "".
func (s *storage) openMapped(ctx context.Context) (why string) {
	s.mapped = true
	s.flags, s.err = s.findDriver(ctx)
	if s.err == nil {
		var unlock func()
		if unlock, _, s.err = s.lock(ctx, false); s.err == nil {
			var found *confinement
			found, why = s.findConfinement(ctx)
			unlock()
			if found != nil {
				s.confined.once.Do(func() { s.confined.found = found })
				return ""
			}
			s.clean(ctx)
		}
	}
	s.mapped = false
	if s.err != nil {
		why = s.err.Error()
	}
	return why
}

func (s *storage) findDriver(ctx context.Context) ([]string, error) {
	if err := os.MkdirAll(s.root(), 0o700); err != nil {
		return nil, err
	}
	if err := os.Chown(s.root(), s.owner(), -1); err != nil {
		return nil, err
	}
	if err := s.makeRunRoot(); err != nil {
		return nil, err
	}
	// Native overlay without root needs Linux 5.13, and a disk that is not an overlay
	// itself. vfs works everywhere, but copies every layer in full. Without
	// skip_mount_home the driver leaves a mount on its folder, which then cannot be
	// removed.
	drivers := [][]string{{"overlay", "overlay.skip_mount_home=true"}}
	if fuse, err := exec.LookPath("fuse-overlayfs"); err == nil {
		drivers = append(drivers, []string{"overlay", "overlay.mount_program=" + fuse})
	}
	drivers = append(drivers, []string{"vfs"})

	var first error
	for _, d := range drivers {
		flags := []string{
			// One root per driver: engines use the driver that a root was created
			// with, whatever the flags say.
			"--root", filepath.Join(s.root(), d[0]),
			"--runroot", filepath.Join(s.runRoot(), d[0]),
			"--storage-driver", d[0],
		}
		for _, opt := range d[1:] {
			flags = append(flags, "--storage-opt", opt)
		}
		if s.engine.Name == "podman" {
			flags = append(flags, "--tmpdir", filepath.Join(s.runRoot(), "libpod"))
		}
		out, err := newOutput(ctx, "", nil)
		if err != nil {
			return nil, err
		}
		if _, err = query(s.child(flags, "info"), out); err == nil {
			return flags, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if first == nil {
			first = failure(fmt.Sprintf("open %s's storage %s", s.engine.Name, s.root()), out, err)
		}
	}
	return nil, first
}

// makeRunRoot makes runRoot, which clean removes, and refuses a folder of another user.
func (s *storage) makeRunRoot() error {
	dir := s.runRoot()
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		err = os.Chown(dir, s.owner(), -1)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || ok && int(st.Uid) != s.owner() {
		return fmt.Errorf("%s is not a folder owned by this user", dir)
	}
	return nil
}

// child prepares the engine on this storage.
func (s *storage) child(flags []string, args ...string) child {
	temp := filepath.Join(s.root(), "tmp")
	_ = os.MkdirAll(temp, 0o700)
	c := child{
		path: s.engine.Path,
		args: append(append([]string(nil), flags...), args...),
		env:  append(environment(), "TMPDIR="+temp),
	}
	switch {
	case s.mapped:
		c.inUserNamespace()
	case os.Geteuid() == 0:
		// Its mounts end with it, even if it is killed.
		c.attributes = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	return c
}

// lock locks the storage, shared with other builds or exclusively. An exclusive lock is
// tried once: ok is false during a build.
func (s *storage) lock(ctx context.Context, exclusive bool) (unlock func(), ok bool, err error) {
	path, how := filepath.Join(s.root(), "lock"), syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	unlock, ok, err = flock(ctx, path, how, !exclusive)
	if ok {
		private.MarkUsed(path) // for dropUnusedStorages
	}
	return unlock, ok, err
}

// lockImport waits until no other build imports what may be the same image. For a moment
// an engine lists a new image that has no manifest yet, and calls it corrupt.
func (s *storage) lockImport(ctx context.Context, o Origin) (unlock func(), err error) {
	if err := os.MkdirAll(s.imports(), 0o700); err != nil {
		return nil, err
	}
	name := cmp.Or(strings.ReplaceAll(o.Digest, ":", "-"), "layout")
	unlock, _, err = flock(ctx, filepath.Join(s.imports(), name), syscall.LOCK_EX, true)
	return unlock, err
}

// imports returns the folder of the locks of imports.
func (s *storage) imports() string { return filepath.Join(s.root(), "imports") }

// flock locks a file, which it makes. Without wait it tries once: ok is false if another
// has the lock.
func flock(ctx context.Context, path string, how int, wait bool) (unlock func(), ok bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, true, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			f.Close()
			return nil, false, fmt.Errorf("lock %s: %w", path, err)
		case !wait:
			f.Close()
			return nil, false, nil
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, false, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// clean removes leftovers of builds and expired bases, except during a build. It never
// makes a build fail: what it cannot remove now, it removes next time.
func (s *storage) clean(ctx context.Context) {
	unlock, ok, err := s.lock(ctx, true)
	if err != nil || !ok {
		return
	}
	defer unlock()
	out, err := newOutput(ctx, "", nil)
	if err != nil {
		return
	}
	s.removeContainers(out)
	temp := filepath.Join(s.root(), "tmp")
	s.killPauseProcess(temp)
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		s.remove(temp)
	}
	tries, _ := filepath.Glob(filepath.Join(s.root(), "try-*"))
	for _, left := range tries {
		s.killPauseProcess(left)
		s.remove(left)
	}
	s.killPauseProcess(s.runRoot())
	defer os.RemoveAll(s.runRoot())
	defer s.killPauseProcess(filepath.Join(s.root(), "tmp"))
	_ = run(s.child(s.flags, s.prune()...), out)
	s.dropBases(out)
	_ = os.RemoveAll(s.imports())
	s.dropUnusedStorages()
}

// remove removes a folder, which may have files of a rootless engine's other users.
func (s *storage) remove(dir string) {
	if os.RemoveAll(dir) == nil || os.Geteuid() == 0 || s.engine.keepsImages() {
		return
	}
	if out, err := newOutput(context.Background(), "", nil); err == nil {
		_ = run(s.child(nil, "unshare", "rm", "-rf", "--", dir), out)
		s.killPauseProcess(filepath.Join(s.root(), "tmp"))
	}
}

// killPauseProcess kills podman's pause processes, which hold a user namespace, if their
// runtime folder is below temp.
// https://github.com/containers/podman/blob/v4.3.1/pkg/rootless/rootless_linux.c
func (s *storage) killPauseProcess(temp string) {
	if s.engine.Name != "podman" || os.Geteuid() == 0 {
		return
	}
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environments {
		environment, _ := os.ReadFile(path)
		if !strings.Contains("\x00"+string(environment), "\x00XDG_RUNTIME_DIR="+temp+"/") {
			continue
		}
		dir := filepath.Dir(path)
		program, _ := os.Readlink(dir + "/exe")
		arguments, _ := os.ReadFile(dir + "/cmdline")
		isPause := filepath.Base(program) == "catatonit" || filepath.Base(program) == "podman" && strings.Count(strings.TrimRight(string(arguments), "\x00"), "\x00") == 0
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && isPause {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// dockerConfig has fields of docker's image configuration that OCI's lacks.
// https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md
type dockerConfig struct {
	Config          struct{ OnBuild, Shell []string } `json:"config"`
	ContainerConfig struct{ OnBuild []string }        `json:"container_config"`
}

// triggers returns the ONBUILD instructions, from where engines read them.
func (c dockerConfig) triggers() []string {
	return slices.Concat(c.Config.OnBuild, c.ContainerConfig.OnBuild)
}

// imageConfig reads an image's configuration from the storage, because podman's inspect
// shows no triggers.
// https://github.com/containers/storage/blob/v1.43.0/images.go (makeBigDataBaseName)
func (s *storage) imageConfig(id string) (dockerConfig, error) {
	root, driver := s.flags[1], s.flags[5]
	name := "=" + base64.StdEncoding.EncodeToString([]byte("sha256:"+id))
	return readJSON[dockerConfig](filepath.Join(root, driver+"-images", id, name))
}

// prune returns the command that removes all images without a name. Only the bases have names.
func (s *storage) prune() []string {
	if s.engine.Name == "buildah" {
		return []string{"rmi", "--prune"}
	}
	return []string{"image", "prune", "--force"}
}

// removeContainers removes working containers and their mounts.
func (s *storage) removeContainers(out *output) {
	if s.engine.Name == "buildah" {
		_ = run(s.child(s.flags, "rm", "--all"), out)
		return
	}
	// "podman rm --all" ignores the working containers of builds.
	left, err := query(s.child(s.flags, "ps", "--all", "--external", "--quiet"), out)
	if ids := strings.Fields(left); err == nil && len(ids) > 0 {
		_ = run(s.child(s.flags, append([]string{"rm", "--force"}, ids...)...), out)
	}
}

// policyFlags returns flags with a signature policy for buildah, which fails if the
// system has none. The user's policy applies if there is one; bases are verified by
// digest anyway. (podman lacks this flag in some subcommands.)
func (s *storage) policyFlags() ([]string, error) {
	if s.engine.Name != "buildah" {
		return nil, nil
	}
	paths := []string{"/etc/containers/policy.json"}
	if home, err := os.UserHomeDir(); err == nil {
		paths = append(paths, filepath.Join(home, ".config/containers/policy.json"))
	}
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			return nil, nil
		}
	}
	own := filepath.Join(s.root(), "policy.json")
	if err := os.WriteFile(own, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`+"\n"), 0o600); err != nil {
		return nil, err
	}
	if err := os.Chown(own, s.owner(), -1); err != nil {
		return nil, err
	}
	return []string{"--signature-policy", own}, nil
}
