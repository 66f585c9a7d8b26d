package containerfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Root's engine runs in a user namespace, so that neither its root nor its steps' is
// this machine's. These are the IDs that it has: as many as images may name; the first
// 268 million are no user's, no subordinate range's that shadow hands out, none of
// systemd's. https://systemd.io/UIDS-GIDS/
const (
	firstID = 0x70000000
	numIDs  = 0x80000000
)

// buildIDs are the IDs of a namespace that runs upstreams' steps: nobody who is anybody
// on this machine, so that what belongs to root is closed to its root.
var buildIDs = []syscall.SysProcIDMap{{ContainerID: 0, HostID: firstID, Size: numIDs}}

// engineIDs are those of a namespace in which the engine runs what is not a step. This
// machine's users are in it, too, beyond the others: its root reads logins and layouts
// that are root's.
var engineIDs = append([]syscall.SysProcIDMap{{ContainerID: numIDs, HostID: 0, Size: firstID}}, buildIDs...)

// inUserNamespace makes a process the root of a user namespace, and tells an engine so.
// https://github.com/containers/storage/blob/v1.43.0/pkg/unshare/unshare_linux.go
func (c *child) inUserNamespace() {
	c.attributes = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: engineIDs, GidMappings: engineIDs, GidMappingsEnableSetgroups: true,
		Credential: &syscall.Credential{},
	}
	c.env = append(c.env, "_CONTAINERS_USERNS_CONFIGURED=done", "_CONTAINERS_ROOTLESS_UID=0", "_CONTAINERS_ROOTLESS_GID=0")
}

// mapIDs gives a process that has begun a user namespace the IDs of builds.
func mapIDs(pid int) error {
	for _, file := range []string{"uid_map", "gid_map"} {
		line := fmt.Sprintf("%d %d %d\n", buildIDs[0].ContainerID, buildIDs[0].HostID, buildIDs[0].Size)
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, file), []byte(line), 0); err != nil {
			return err
		}
	}
	return nil
}

// chownAll makes everything below a folder a user's and group's.
func chownAll(dir string, id int) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, id, id)
	})
}

// closed is the topmost folder on the way to path into which not everybody may look, or
// "". IDs that are nobody's do not get through.
func closedFolder(path string) string {
	topmost := ""
	for dir := filepath.Dir(path); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
			topmost = dir
		}
	}
	return topmost
}
