package run

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/libresh/libre/internal/atomicfile"
	"github.com/libresh/libre/internal/compose"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/kit"
	"github.com/libresh/libre/internal/private"
)

// home is the folder of an app that runs here:
//
//	lock          held while it runs
//	secrets.env   the secrets that were made, mode 0600
//	kept          the next run finds the data: the one before had --keep
//	installed     the jobs of the first installation have run
//	data          of servers, and volumes
//	run           of containers; removed when they end
//	secrets       files with the variables of each service; removed when they end
//	s             sockets; removed when they end
type home struct {
	dir          string
	keep         bool
	lock         *os.File
	secrets      []byte // of secrets.env
	wasKept      bool   // an earlier run kept the data
	wasInstalled bool
}

// openHome takes the folder, and removes what a killed run left behind.
func openHome(dir string, keep bool) (*home, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	if err := private.Folder(dir); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 { // servers run as other users, and pass through
		if err := os.Chmod(dir, 0o711); err != nil {
			return nil, err
		}
	}
	h := &home{dir: dir, keep: keep}
	var err error
	if h.lock, err = os.OpenFile(h.path("lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(h.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		h.lock.Close()
		return nil, &fault.Fault{Err: fmt.Errorf("%s runs already", filepath.Base(dir)), Fix: "end it by Ctrl-C, or run another one with --name"}
	}
	return h, h.open()
}

func (h *home) open() error {
	_, missing := os.Stat(h.path("kept"))
	h.wasKept = missing == nil
	err := h.clean()
	if !h.wasKept { // of a run that was killed
		err = errors.Join(err, h.forget())
	}
	if h.keep {
		err = errors.Join(err, os.WriteFile(h.path("kept"), nil, 0o600))
	}
	for _, name := range []string{"data", "s"} {
		err = errors.Join(err, os.MkdirAll(h.path(name), 0o700))
		if os.Geteuid() == 0 {
			err = errors.Join(err, os.Chmod(h.path(name), 0o711))
		}
	}
	_, missing = os.Stat(h.path("installed"))
	h.wasInstalled = missing == nil
	content, unread := private.Read(h.path(compose.SecretsFile))
	if unread != nil && !errors.Is(unread, os.ErrNotExist) {
		err = errors.Join(err, unread)
	}
	h.secrets = content
	if err != nil {
		h.lock.Close()
	}
	return err
}

func (h *home) path(names ...string) string {
	return filepath.Join(append([]string{h.dir}, names...)...)
}
func (h *home) sockets() string { return h.path("s") }

// secret is a secret by its name, which is made if it is new.
func (h *home) secret(name string, random func() string) string {
	for line := range strings.Lines(string(h.secrets)) {
		if value, found := strings.CutPrefix(strings.TrimRight(line, "\r\n"), name+"="); found {
			return value
		}
	}
	value := random()
	h.secrets = fmt.Appendf(h.secrets, "%s=%s\n", name, value)
	return value
}

// write writes files that only this user can read, and files of containers whose user is
// another one.
func (h *home) write(files []kit.File) error {
	for _, file := range files {
		path := h.path(filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if file.Private {
			mode = 0o600
		}
		if err := atomicfile.Write(path, file.Content, mode); err != nil {
			return err
		}
	}
	return nil
}

// installed notes that the jobs of the first installation have run.
func (h *home) installed() error { return os.WriteFile(h.path("installed"), nil, 0o600) }

// clean removes what is no longer needed once the app has ended.
func (h *home) clean() error {
	var err error
	for _, name := range []string{"s", "secrets", "run"} {
		err = errors.Join(err, os.RemoveAll(h.path(name)))
	}
	return err
}

// forget removes the data, and what belongs to it.
func (h *home) forget() error {
	var err error
	for _, name := range []string{"data", "installed", "kept", compose.SecretsFile} {
		err = errors.Join(err, os.RemoveAll(h.path(name)))
	}
	return err
}

// close removes the data unless it is to be kept. A run that failed does not remove data
// that an earlier run kept.
func (h *home) close(failed error) error {
	defer h.lock.Close()
	if h.keep || failed != nil && h.wasKept {
		return h.clean()
	}
	return os.RemoveAll(h.dir)
}
