package containerfile

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/libresh/libre/internal/testkit"
)

// openStorage opens a storage for root. If mapped, the engine runs in a user namespace.
// Otherwise the storage is as on a machine without user namespaces.
func openStorage(t *testing.T, e Engine, mapped bool) *storage {
	t.Helper()
	s := NewBuilder(e, newStorage(t, e)).storage
	if !mapped {
		s.openUnmapped(t.Context())
	}
	if err := s.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.mapped != mapped {
		t.Fatalf("mapped is %v", s.mapped)
	}
	return s
}

// openUnmapped opens a storage as on a machine without user namespaces.
func (s *storage) openUnmapped(ctx context.Context) {
	s.once.Do(func() { s.flags, s.err = s.findDriver(ctx) })
}

// owners makes files that a user namespace could change in a layer: with owners, modes and
// capabilities, replaced folders, links, pipes.
const owners = `FROM base AS build
COPY f d /c/
RUN attack owned
RUN busybox rm -r /o/gone /o/opaque && busybox mkdir /o/opaque && busybox touch /o/opaque/new
FROM build
COPY --from=build /o /again
COPY --chown=1000:2000 --chmod=4755 f /chowned
RUN --mount=type=bind,target=/mnt --mount=type=cache,target=/k busybox stat -c %u:%g:%a /mnt/f /mnt/d /k /o/capable /o/1000 > /seen
USER 1234
RUN busybox id -u > /o/sticky/id
`

func makeOwned(string) {
	for _, err := range []error{
		os.MkdirAll("/o/gone/"+strings.Repeat("long/", 50), 0o755), os.MkdirAll("/o/"+strings.Repeat("long/", 50), 0o755), os.MkdirAll("/o/opaque", 0o755), os.WriteFile("/o/opaque/old", nil, 0o644),
		os.WriteFile("/o/1000", nil, 0o600), os.Chown("/o/1000", 1000, 2000),
		os.WriteFile("/o/65534", nil, 0o600), os.Chown("/o/65534", 65534, 65535),
		os.WriteFile("/o/large", nil, 0o600), os.Chown("/o/large", 60_000, 65_000),
		os.WriteFile("/o/setuid", nil, 0o644), os.Chmod("/o/setuid", 0o755|os.ModeSetuid|os.ModeSetgid),
		os.Mkdir("/o/sticky", 0o755), os.Chmod("/o/sticky", 0o777|os.ModeSticky),
		os.Link("/o/setuid", "/o/hard"), os.Symlink("1000", "/o/link"), os.Lchown("/o/link", 5, 6), unix.Mkfifo("/o/pipe", 0o640),
		os.WriteFile("/o/capable", nil, 0o755),
		// cap_net_bind_service=ep, version 2: https://man7.org/linux/man-pages/man7/capabilities.7.html
		unix.Setxattr("/o/capable", "security.capability", []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0),
	} {
		if err != nil {
			println(err.Error())
			os.Exit(1)
		}
	}
}

// An image is the same whether root in steps is this machine's root, mapped, or a user.
func TestUserNamespaceChangesNoImage(t *testing.T) {
	var lock sync.Mutex
	first := map[string][]string{} // by engine
	eachUser(t, func(t *testing.T, p *place) {
		build := func(change func(*order)) (said []string) {
			files, got := p.build(owners, map[string]string{"f": "f", "d/g": "g"}, change)
			if got.Err != "" {
				t.Fatal(got.Err)
			}
			if files["/o/large"].uid != 60_000 || files["/o/sticky/id"].content != "1234\n" {
				t.Errorf("%v %v", files["/o/large"], files["/o/sticky/id"])
			}
			filepath.Walk(got.Layout, func(path string, info os.FileInfo, err error) error {
				if err != nil || info.Sys().(*syscall.Stat_t).Uid != uint32(p.u.uid) {
					t.Errorf("%s is not the user's: %v", path, err)
				}
				return nil
			})
			_, cf := built(t, Result{Layout: got.Layout})
			for _, layer := range cf.RootFS.DiffIDs {
				said = append(said, layer.String())
			}
			return append(said, files["/seen"].content)
		}
		images := [][]string{build(nil)}
		if p.u.uid == 0 {
			images = append(images, build(func(o *order) { o.Unmapped = true }))
		}
		lock.Lock()
		defer lock.Unlock()
		for _, got := range images {
			if first[p.e.Name] == nil {
				first[p.e.Name] = got
			}
			if diff := cmp.Diff(first[p.e.Name], got); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// A step cannot open root's files in a folder of this machine, even if it can access the
// folder. Its own files belong to no user.
func TestRootInStepsIsUnprivileged(t *testing.T) {
	testkit.RequireRoot(t)
	eachEngine(t, func(t *testing.T, e Engine) {
		p := *placeOf(t, e, builderUser{"root", 0})
		p.t = t
		c := newCanaries(&p)
		folder := filepath.Dir(c.file)
		for _, mapped := range []bool{true, false} {
			s := openStorage(t, e, mapped)
			found, err := s.confine(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			work, err := os.MkdirTemp(s.root(), "work-")
			if err != nil {
				t.Fatal(err)
			}
			program, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			exec.Command("cp", program, work+"/attack").Run()
			exec.Command("cp", lookPath("busybox"), work+"/busybox").Run()
			os.Mkdir(work+"/open", 0o777)
			os.Chmod(work+"/open", 0o777)
			file := filepath.Join(work, "Containerfile")
			steps := "FROM scratch\nCOPY attack busybox /\nRUN [\"/attack\", \"file=" + c.file + "\"]\nRUN [\"/busybox\", \"cp\", \"/busybox\", \"/open/left\"]\nRUN [\"/busybox\", \"chmod\", \"4755\", \"/open/left\"]\n"
			if err := os.WriteFile(file, []byte(steps), 0o644); err != nil {
				t.Fatal(err)
			}
			out, err := newOutput(t.Context(), filepath.Join(t.TempDir(), "log"), nil)
			if err != nil {
				t.Fatal(err)
			}
			policy, err := s.policyFlags()
			if err != nil {
				t.Fatal(err)
			}
			args := append(append([]string{"build", "--no-cache", "--file", file, "--volume", folder + ":" + folder, "--volume", work + "/open:/open"}, found.flags()...), policy...)
			ch, err := s.confinedChild(found, "", work, nil, append(args, work))
			if err != nil {
				t.Fatal(err)
			}
			if err := run(ch, out); err != nil {
				t.Fatal(describe(failure("build", out, err)))
			}
			read := strings.Contains(strings.Join(out.tail(), "\n"), "ESCAPED")
			left, err := os.Stat(work + "/open/left")
			if err != nil {
				t.Fatal(err)
			}
			if uid := int(left.Sys().(*syscall.Stat_t).Uid); read == mapped || uid != s.owner() {
				t.Errorf("mapped %v: read %v, owner %d\n%s", mapped, read, uid, strings.Join(out.tail(), "\n"))
			}
			os.Remove(c.file + ".written")
		}
	})
}

// Without the attributes, the rest of an archive stays the same.
func TestOverlayXattrsLeaveNoTrace(t *testing.T) {
	long := strings.Repeat("long/", 50)
	archive := func(notes map[string]string) []byte {
		var buf bytes.Buffer
		w := tar.NewWriter(&buf)
		for i, h := range []tar.Header{
			{Name: "dir/", Typeflag: tar.TypeDir, Mode: 0o755},
			{Name: long + "file", Mode: 0o644, Size: 1000},
			{Name: "capable", Mode: 0o755, Uid: 3_000_000, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\n", "SCHILY.xattr.user.overlayed": "y"}},
			{Name: "hard", Typeflag: tar.TypeLink, Linkname: long + "file"},
		} {
			for name, value := range notes {
				if h.PAXRecords == nil {
					h.PAXRecords = map[string]string{}
				}
				h.PAXRecords["SCHILY.xattr.user.overlay."+name] = value
			}
			h.Format = tar.FormatPAX // as containers/storage has it
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(i, err)
			}
			w.Write(bytes.Repeat([]byte{byte(i)}, int(h.Size)))
		}
		w.Close()
		return buf.Bytes()
	}
	want := archive(nil)
	for _, notes := range []map[string]string{nil, {"origin": ""}, {"impure": "y", "origin": "\x00\n5 x=y\n"}, {"upper": strings.Repeat("u", 600), "opaque": "y"}} {
		with := archive(notes)
		edits, err := overlayEdits(bytes.NewReader(with))
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		at := 0
		for _, e := range edits {
			got = append(append(got, with[at:e.at]...), e.with...)
			at = int(e.at + e.length)
		}
		if got = append(got, with[at:]...); !bytes.Equal(got, want) {
			t.Errorf("%v: %d bytes, want %d", notes, len(got), len(want))
		}
	}
}
