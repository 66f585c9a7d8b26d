package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// objectKind is the number of a kind in a pack. https://git-scm.com/docs/gitformat-pack
type objectKind byte

const (
	commitObject objectKind = 1
	treeObject   objectKind = 2
	blobObject   objectKind = 3
	tagObject    objectKind = 4
)

func (k objectKind) String() string {
	return [...]string{commitObject: "commit", treeObject: "tree", blobObject: "blob", tagObject: "tag"}[k]
}

// pack is a file of objects, each once, as it is.
type pack struct {
	file    *os.File
	to      *bufio.Writer
	offset  uint64
	objects []packed
	seen    map[id]bool
}

type packed struct {
	id     id
	offset uint64
	crc    uint32 // of what the pack has of it
}

func newPack(folder string) (*pack, error) {
	file, err := os.OpenFile(filepath.Join(folder, "pack"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	p := &pack{file: file, to: bufio.NewWriterSize(file, 1<<20), seen: map[id]bool{}}
	_, err = p.Write([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00")) // finish knows how many
	return p, err
}

func (p *pack) Write(data []byte) (int, error) {
	n, err := p.to.Write(data)
	p.offset += uint64(n)
	return n, err
}

func (p *pack) addBytes(kind objectKind, content []byte) (id, error) {
	return p.add(kind, int64(len(content)), bytes.NewReader(content))
}

func (p *pack) addFile(path string, size int64) (id, error) {
	file, err := os.Open(path)
	if err != nil {
		return id{}, err
	}
	defer file.Close()
	return p.add(blobObject, size, file)
}

// add adds an object of so many bytes. They are read twice: a pack has each object once,
// and the name of one follows from its content.
func (p *pack) add(kind objectKind, size int64, content io.ReadSeeker) (id, error) {
	name := sha1.New()
	fmt.Fprintf(name, "%s %d\x00", kind, size)
	if _, err := io.Copy(name, content); err != nil {
		return id{}, err
	}
	object := packed{id: id(name.Sum(nil)), offset: p.offset}
	if p.seen[object.id] {
		return object.id, nil
	}
	p.seen[object.id] = true
	crc := crc32.NewIEEE()
	to := io.MultiWriter(p, crc)
	header := []byte{byte(kind)<<4 | byte(size&15)}
	for rest := size >> 4; rest > 0; rest >>= 7 {
		header[len(header)-1] |= 0x80
		header = append(header, byte(rest&0x7f))
	}
	if _, err := to.Write(header); err != nil {
		return id{}, err
	}
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return id{}, err
	}
	if err := store(to, content, size); err != nil {
		return id{}, err
	}
	object.crc = crc.Sum32()
	p.objects = append(p.objects, object)
	return object.id, nil
}

// storedBlock is the most bytes of a block of deflate that is not compressed.
const storedBlock = 0xffff

// store writes so many bytes as zlib that compresses nothing: what it writes depends on
// no library. https://www.rfc-editor.org/rfc/rfc1950 https://www.rfc-editor.org/rfc/rfc1951#section-3.2.4
func store(to io.Writer, from io.Reader, size int64) error {
	if _, err := to.Write([]byte{0x78, 0x01}); err != nil {
		return err
	}
	sum, block := adler32.New(), make([]byte, 5+storedBlock)
	for last := false; !last; {
		n := min(size, storedBlock)
		size -= n
		last = size == 0
		block := block[:5+n]
		block[0] = 0
		if last {
			block[0] = 1
		}
		binary.LittleEndian.PutUint16(block[1:], uint16(n))
		binary.LittleEndian.PutUint16(block[3:], ^uint16(n))
		if _, err := io.ReadFull(from, block[5:]); err != nil {
			return fmt.Errorf("a file changed while it was read: %w", err)
		}
		sum.Write(block[5:])
		if _, err := to.Write(block); err != nil {
			return err
		}
	}
	_, err := to.Write(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
	return err
}

// finish writes the pack's end and its index, under the name that git gives them.
func (p *pack) finish(folder string) error {
	if err := p.to.Flush(); err != nil {
		return err
	}
	if _, err := p.file.WriteAt(binary.BigEndian.AppendUint32(nil, uint32(len(p.objects))), 8); err != nil {
		return err
	}
	sum := sha1.New()
	if _, err := io.Copy(sum, io.NewSectionReader(p.file, 0, int64(p.offset))); err != nil {
		return err
	}
	end := sum.Sum(nil)
	if _, err := p.file.WriteAt(end, int64(p.offset)); err != nil {
		return err
	}
	name := filepath.Join(folder, fmt.Sprintf("pack-%x", end))
	if err := os.WriteFile(name+".idx", p.index(end), 0o644); err != nil {
		return err
	}
	return os.Rename(p.file.Name(), name+".pack")
}

// index is where each object is in the pack. https://git-scm.com/docs/gitformat-pack#_version_2_pack_idx_files_support_packs_larger_than_4_gib
func (p *pack) index(end []byte) []byte {
	slices.SortFunc(p.objects, func(a, b packed) int { return bytes.Compare(a.id[:], b.id[:]) })
	big := binary.BigEndian
	data := []byte("\xfftOc\x00\x00\x00\x02")
	for first := range 256 {
		upTo, _ := slices.BinarySearchFunc(p.objects, first+1, func(o packed, first int) int { return cmp.Compare(int(o.id[0]), first) })
		data = big.AppendUint32(data, uint32(upTo))
	}
	for _, o := range p.objects {
		data = append(data, o.id[:]...)
	}
	for _, o := range p.objects {
		data = big.AppendUint32(data, o.crc)
	}
	var far []byte
	for _, o := range p.objects {
		if o.offset < 1<<31 {
			data = big.AppendUint32(data, uint32(o.offset))
		} else {
			data = big.AppendUint32(data, 1<<31|uint32(len(far)/8))
			far = big.AppendUint64(far, o.offset)
		}
	}
	data = append(append(data, far...), end...)
	sum := sha1.Sum(data)
	return append(data, sum[:]...)
}
