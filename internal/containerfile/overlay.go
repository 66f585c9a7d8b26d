package containerfile

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// overlayXattrs is the prefix of the extended attributes that overlay uses for itself in a user
// namespace. containers/storage before 1.45 adds them to the image, so that a step makes a
// different layer than it does without a namespace.
// https://docs.kernel.org/filesystems/overlayfs.html#user-xattr
const overlayXattrs = "SCHILY.xattr.user.overlay."

// dropOverlayXattrs removes these attributes from the layers of an image that a dir:
// transport wrote.
func dropOverlayXattrs(dir string) error {
	path := filepath.Join(dir, "manifest.json")
	m, err := readJSON[v1.Manifest](path)
	if err != nil {
		return err
	}
	var renamed []string
	changed := map[v1.Hash]v1.Descriptor{} // an image can have the same layer twice
	for i := range m.Layers {
		l := &m.Layers[i]
		into, known := changed[l.Digest]
		if !known {
			if into, err = withoutOverlayXattrs(filepath.Join(dir, l.Digest.Hex)); err != nil {
				return fmt.Errorf("layer %s: %w", l.Digest, err)
			}
			changed[l.Digest] = into
		}
		if into.Size > 0 {
			renamed = append(renamed, l.Digest.String(), into.Digest.String())
			l.Digest, l.Size = into.Digest, into.Size
		}
	}
	if len(renamed) == 0 {
		return nil
	}
	return changeConfig(dir, m, strings.NewReplacer(renamed...).Replace)
}

// edit replaces a part of a file.
type edit struct {
	at, length int64
	with       []byte
}

// withoutOverlayXattrs writes a layer without these attributes beside the old one, under
// its new digest. It returns an empty descriptor if the layer has none.
func withoutOverlayXattrs(path string) (v1.Descriptor, error) {
	f, err := os.Open(path)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer f.Close()
	edits, err := overlayEdits(f)
	if err != nil || len(edits) == 0 {
		return v1.Descriptor{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return v1.Descriptor{}, err
	}
	out, err := os.Create(path + ".new")
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer out.Close()
	sum := sha256.New()
	to := io.MultiWriter(out, sum)
	at, size := int64(0), int64(0)
	for _, e := range append(edits, edit{at: 1 << 62}) {
		n, err := io.CopyN(to, f, e.at-at)
		if err != nil && !errors.Is(err, io.EOF) {
			return v1.Descriptor{}, err
		}
		if _, err := to.Write(e.with); err != nil {
			return v1.Descriptor{}, err
		}
		if at, err = f.Seek(e.length, io.SeekCurrent); err != nil {
			return v1.Descriptor{}, err
		}
		size += n + int64(len(e.with))
	}
	digest := v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sum.Sum(nil))}
	return v1.Descriptor{Digest: digest, Size: size}, os.Rename(path+".new", filepath.Join(filepath.Dir(path), digest.Hex))
}

const block = 512

// overlayEdits finds the headers with overlay's attributes in a tar archive that
// containers/storage wrote with archive/tar, and the headers to write instead.
// https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13
func overlayEdits(f io.ReadSeeker) ([]edit, error) {
	var edits []edit
	for at := int64(0); ; {
		header := make([]byte, block)
		if _, err := io.ReadFull(f, header); err == io.EOF || err == nil && header[0] == 0 {
			return edits, nil
		} else if err != nil {
			return nil, err
		}
		size, err := contentSize(header)
		if err == nil && header[156] == tar.TypeXHeader {
			more := make([]byte, size+block) // the attributes, and the header that they are for
			if _, err := io.ReadFull(f, more); err != nil {
				return nil, err
			}
			header = append(header, more...)
			size, err = contentSize(header[len(header)-block:])
			if entry, notHere := tar.NewReader(bytes.NewReader(header)).Next(); notHere == nil {
				if record, ok := entry.PAXRecords["size"]; ok {
					size, err = strconv.ParseInt(record, 10, 64)
				}
				if with := withoutOverlayRecords(entry); with != nil {
					edits = append(edits, edit{at, int64(len(header)), with})
				}
			}
		}
		if err != nil {
			return nil, err
		}
		at += int64(len(header)) + size
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return nil, err
		}
	}
}

// contentSize returns the size of an entry's content, with padding.
func contentSize(header []byte) (size int64, err error) {
	if field := header[124:136]; field[0]&0x80 != 0 { // binary: more than 8 GiB
		size = int64(binary.BigEndian.Uint64(field[4:]))
	} else if size, err = strconv.ParseInt(strings.Trim(string(field), " \x00"), 8, 64); err != nil {
		return 0, err
	}
	return (size + block - 1) / block * block, nil
}

// withoutOverlayRecords returns an entry's header without overlay's attributes; nil if it
// has none.
func withoutOverlayRecords(entry *tar.Header) []byte {
	before := len(entry.PAXRecords)
	maps.DeleteFunc(entry.PAXRecords, func(name, _ string) bool { return strings.HasPrefix(name, overlayXattrs) })
	if len(entry.PAXRecords) == before {
		return nil
	}
	// These repeat the header's fields, and would make the writer add a PAX header.
	maps.DeleteFunc(entry.PAXRecords, func(name, _ string) bool { return !strings.Contains(name, ".") })
	entry.Xattrs = nil //nolint:staticcheck // the reader fills it, and the writer would write it again
	var header bytes.Buffer
	if tar.NewWriter(&header).WriteHeader(entry) != nil {
		return nil
	}
	return header.Bytes()
}
