package containerfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Root's engine runs in a user namespace, so that root in the engine and in steps is not
// root of this machine. The namespace uses these IDs, as many as images may use. They are
// outside of the ranges of users, of shadow's subordinate IDs and of systemd.
// https://systemd.io/UIDS-GIDS/
const (
	firstID = 0x70000000
	numIDs  = 0x80000000
)

// buildIDs maps the IDs of a namespace for build steps. It contains no user of this machine, so
// the root of the namespace cannot access root's files.
var buildIDs = []syscall.SysProcIDMap{{ContainerID: 0, HostID: firstID, Size: numIDs}}

// engineIDs maps the IDs of a namespace for the engine's other commands. Above the IDs for
// builds it contains the users of this machine, so the root of the namespace can read root's
// credentials and layouts.
var engineIDs = append([]syscall.SysProcIDMap{{ContainerID: numIDs, HostID: 0, Size: firstID}}, buildIDs...)

// inUserNamespace makes a process root of a user namespace, and sets the variables that
// tell an engine so.
// https://github.com/containers/storage/blob/v1.43.0/pkg/unshare/unshare_linux.go
func (c *child) inUserNamespace() {
	c.attributes = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: engineIDs, GidMappings: engineIDs, GidMappingsEnableSetgroups: true,
		Credential: &syscall.Credential{},
	}
	c.env = append(c.env, "_CONTAINERS_USERNS_CONFIGURED=done", "_CONTAINERS_ROOTLESS_UID=0", "_CONTAINERS_ROOTLESS_GID=0")
}

// mapIDs writes the ID maps for builds of a process that has created a user namespace.
func mapIDs(pid int) error {
	for _, file := range []string{"uid_map", "gid_map"} {
		line := fmt.Sprintf("%d %d %d\n", buildIDs[0].ContainerID, buildIDs[0].HostID, buildIDs[0].Size)
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, file), []byte(line), 0); err != nil {
			return err
		}
	}
	return nil
}

// chownAll changes the owner and group of everything below a folder.
func chownAll(dir string, id int) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, id, id)
	})
}

// closedFolder returns the topmost parent of path that others cannot enter, or "". Mapped
// IDs cannot pass it.
func closedFolder(path string) string {
	topmost := ""
	for dir := filepath.Dir(path); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
			topmost = dir
		}
	}
	return topmost
}
