package nix

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/process"
	nixcode "github.com/libresh/libre/nix"
)

// HostParts are the programs and files of this machine for the host package set.
type HostParts struct {
	System  string // of the machine, such as x86_64-linux
	GoRoot  string // folder of a self-contained Go toolchain
	GoVer   string // such as 1.26.8
	Busybox string // path of a static busybox
	BoxVer  string
	CACerts string // path of the CA certificates
}

// MachineSystem returns the Nix system of this machine.
func MachineSystem() (string, error) {
	cpu, known := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	if !known || runtime.GOOS != "linux" {
		return "", fmt.Errorf("no Nix system for %s/%s: libre builds on Linux, x86_64 or aarch64", runtime.GOOS, runtime.GOARCH)
	}
	return cpu + "-linux", nil
}

// FindHostParts finds the parts. The error names a missing one and how to install it.
func FindHostParts(ctx context.Context) (HostParts, error) {
	var parts HostParts
	var err error
	if parts.System, err = MachineSystem(); err != nil {
		return parts, err
	}
	if parts.GoRoot, parts.GoVer, err = findGo(ctx); err != nil {
		return parts, err
	}
	root := parts.GoRoot
	for _, needed := range []string{"bin/go", "pkg/tool", "src/fmt", "VERSION"} {
		if _, err := os.Stat(filepath.Join(root, needed)); err != nil {
			return parts, hostFault(fmt.Sprintf("%s is not a self-contained Go toolchain (no %s)", root, needed), installGo)
		}
	}
	if parts.Busybox, parts.BoxVer, err = findBusybox(); err != nil {
		return parts, err
	}
	for _, file := range []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"} {
		if _, err := os.Stat(file); err == nil {
			parts.CACerts = file
			return parts, nil
		}
	}
	return parts, hostFault("no CA certificates", "apt-get install ca-certificates")
}

const installGo = "install Go from https://go.dev/dl"

func hostFault(reason, fix string) error {
	return &fault.Fault{Doing: "host package set", Err: errors.New(reason), Fix: fix}
}

// findGo reads the toolchain's own files, which is a hundred times faster than running
// it. It runs go only if the program is elsewhere, such as a wrapper.
func findGo(ctx context.Context) (root, version string, err error) {
	if path, err := exec.LookPath("go"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			root = filepath.Dir(filepath.Dir(path))
			if text, err := os.ReadFile(filepath.Join(root, "VERSION")); err == nil {
				line, _, _ := strings.Cut(string(text), "\n")
				return root, strings.TrimPrefix(line, "go"), nil
			}
		}
	}
	cmd := process.Command(ctx, "go", "env", "GOROOT", "GOVERSION")
	cmd.Env, cmd.Dir = append(process.Environment(process.Go...), "GOTOOLCHAIN=local"), "/"
	out, err := cmd.Output()
	lines := strings.Fields(string(out))
	if err != nil || len(lines) < 2 {
		return "", "", hostFault("no Go toolchain", installGo)
	}
	return lines[0], strings.TrimPrefix(lines[1], "go"), nil
}

// findBusybox finds a static busybox, and reads its version from the file.
func findBusybox() (path, version string, err error) {
	missing := hostFault("no static busybox", "apt-get install busybox-static")
	if path, err = exec.LookPath("busybox"); err != nil {
		return "", "", missing
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", "", missing
	}
	if static, err := isStatic(path); err != nil || !static {
		return "", "", missing
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return "", "", missing
	}
	found := regexp.MustCompile(`BusyBox v([0-9.]+)`).FindSubmatch(program)
	if found == nil {
		return "", "", missing
	}
	return path, string(found[1]), nil
}

// hostPackages adds the host package set to the store when it is first needed: copying a
// Go toolchain takes half a minute.
type hostPackages struct {
	nix  *Nix
	lock sync.Mutex
	made StoreSource
}

func (h *hostPackages) source(ctx context.Context) (StoreSource, error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if h.made.Path != "" {
		return h.made, nil
	}
	var err error
	h.made, err = h.nix.hostPackageSet(ctx)
	return h.made, err
}

// goKey identifies the Go toolchain.
func (p HostParts) goKey() string {
	return "go " + stamp(filepath.Join(p.GoRoot, "VERSION")) + stamp(filepath.Join(p.GoRoot, "bin/go"))
}

// hostSet is host.json, which nix/hostpkgs reads.
type hostSet struct {
	System  string   `json:"system"`
	Go      hostPart `json:"go"`
	Busybox hostPart `json:"busybox"`
	CACert  hostPart `json:"cacert"`
}

type hostPart struct {
	StoreSource
	Version string `json:"version"`
}

// hostPackageSet adds the parts and the package set's Nix code to the store, and returns
// the source that replaces nixpkgs.
func (n *Nix) hostPackageSet(ctx context.Context) (StoreSource, error) {
	parts, err := FindHostParts(ctx)
	if err != nil {
		return StoreSource{}, err
	}
	host := hostSet{System: parts.System}
	if host.Go.StoreSource, err = n.AddCached(ctx, parts.goKey(),
		func() (string, func(), error) { return parts.GoRoot, func() {}, nil }); err != nil {
		return StoreSource{}, err
	}
	if host.Busybox.StoreSource, err = n.addFile(ctx, parts.Busybox, "busybox"); err != nil {
		return StoreSource{}, err
	}
	if host.CACert.StoreSource, err = n.addFile(ctx, parts.CACerts, "ca-certificates.crt"); err != nil {
		return StoreSource{}, err
	}
	certificates, err := hashFile(parts.CACerts)
	if err != nil {
		return StoreSource{}, err
	}
	host.Go.Version, host.Busybox.Version, host.CACert.Version = parts.GoVer, parts.BoxVer, certificates[:12]

	text, err := json.Marshal(host)
	if err != nil {
		return StoreSource{}, err
	}
	return n.AddFS(ctx, nixcode.HostPackages(), map[string][]byte{"host.json": text})
}

// AddFS adds a tree of files to the store. extra adds or replaces files.
func (n *Nix) AddFS(ctx context.Context, code fs.FS, extra map[string][]byte) (StoreSource, error) {
	key, err := hashFS(code)
	if err != nil {
		return StoreSource{}, err
	}
	for name, content := range extra {
		key += fmt.Sprintf(" %s %x", name, sha256.Sum256(content))
	}
	return n.AddCached(ctx, key, func() (string, func(), error) {
		dir, err := os.MkdirTemp("", "libre-code-")
		if err != nil {
			return "", nil, err
		}
		done := func() { os.RemoveAll(dir) }
		tree := filepath.Join(dir, "tree")
		if err := os.CopyFS(tree, code); err != nil {
			done()
			return "", nil, err
		}
		for name, content := range extra {
			if err := os.WriteFile(filepath.Join(tree, name), content, 0o644); err != nil {
				done()
				return "", nil, err
			}
		}
		return tree, done, nil
	})
}

// addFile adds a folder with one file, called name, to the store.
func (n *Nix) addFile(ctx context.Context, path, name string) (StoreSource, error) {
	return n.AddCached(ctx, name+" "+stamp(path), func() (string, func(), error) {
		dir, err := os.MkdirTemp("", "libre-part-")
		if err != nil {
			return "", nil, err
		}
		info, err := os.Stat(path)
		if err == nil {
			err = copyFile(filepath.Join(dir, name), path, info.Mode().Perm())
		}
		return dir, func() { os.RemoveAll(dir) }, err
	})
}

// stamp identifies the current content of a file without reading it.
func stamp(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return path
	}
	return fmt.Sprintf("%s %d %d;", path, info.Size(), info.ModTime().UnixNano())
}

func hashFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func hashFS(code fs.FS) (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(code, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(code, path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(hash, "%s %d\n%s", path, len(content), content)
		return err
	})
	return hex.EncodeToString(hash.Sum(nil)), err
}

// isStatic reports whether an ELF program needs no dynamic loader.
func isStatic(path string) (bool, error) {
	file, err := elf.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP {
			return false, nil
		}
	}
	return true, nil
}
