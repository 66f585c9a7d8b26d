package upstream

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of a repository's answers, far above the largest known ones.
const (
	mostRefBytes  = 64 << 20
	mostRefs      = 1 << 18
	mostNameBytes = 1024 // a longer tag is not a version; it is skipped
)

// packet is a unit of git's protocol: a line, or a marker without content.
// https://git-scm.com/docs/gitprotocol-common#_pkt_line_format
type packet struct {
	line string
	mark bool // flush, delimiter or end of the response
}

// packets reads the answer of a git server.
type packets struct{ from *bufio.Reader }

func newPackets(from io.Reader) *packets {
	return &packets{bufio.NewReaderSize(io.LimitReader(from, mostRefBytes), 1<<16)}
}

var errNoPacket = errors.New("not git's protocol")

// next reads one packet, and drops a line's final newline. If the server sends an error, it
// returns that.
func (p *packets) next() (packet, error) {
	var size [2]byte
	var digits [4]byte
	if _, err := io.ReadFull(p.from, digits[:]); err != nil {
		return packet{}, fmt.Errorf("%w: it ends early", errNoPacket)
	}
	if _, err := hex.Decode(size[:], digits[:]); err != nil {
		return packet{}, fmt.Errorf("%w: it begins with %q", errNoPacket, digits)
	}
	length := int(size[0])<<8 | int(size[1])
	if length < 4 {
		return packet{mark: true}, nil
	}
	content := make([]byte, length-4)
	if _, err := io.ReadFull(p.from, content); err != nil {
		return packet{}, fmt.Errorf("%w: it ends early", errNoPacket)
	}
	line := strings.TrimSuffix(string(content), "\n")
	if message, isError := strings.CutPrefix(line, "ERR "); isError {
		return packet{}, fmt.Errorf("the server says: %s", capped(message, 200))
	}
	return packet{line: line}, nil
}

// refs collects tags from lines of references.
type refs struct {
	tags []Tag
	all  int
}

const tagPrefix = "refs/tags/"

// add adds a reference and its object. NAME^{} follows NAME, and has the commit that an
// annotated tag points to.
func (r *refs) add(object, reference string) error {
	if r.all++; r.all > mostRefs {
		return fmt.Errorf("more than %d references", mostRefs)
	}
	if _, err := hex.DecodeString(object); err != nil || len(object) != 40 && len(object) != 64 {
		return fmt.Errorf("%w: %q is not an object's name", errNoPacket, capped(object, 80))
	}
	name, isTag := strings.CutPrefix(reference, tagPrefix)
	name, peeled := strings.CutSuffix(name, "^{}")
	switch last := len(r.tags) - 1; {
	case !isTag || name == "" || len(name) > mostNameBytes:
	case !peeled:
		r.tags = append(r.tags, Tag{name, object})
	case last >= 0 && r.tags[last].Name == name:
		r.tags[last].Commit = object
	}
	return nil
}

// readRefs reads the answer to ls-refs.
// https://git-scm.com/docs/protocol-v2#_ls_refs
func readRefs(from io.Reader) ([]Tag, error) {
	var found refs
	for p := newPackets(from); ; {
		packet, err := p.next()
		if err != nil {
			return nil, err
		}
		if packet.mark {
			return found.tags, nil
		}
		object, rest, _ := strings.Cut(packet.line, " ")
		reference, attributes, _ := strings.Cut(rest, " ")
		if object == "unborn" {
			continue
		}
		peeled := ""
		for attribute := range strings.FieldsSeq(attributes) {
			if value, is := strings.CutPrefix(attribute, "peeled:"); is {
				peeled = value
			} else if !strings.HasPrefix(attribute, "symref-target:") {
				reference = "" // a name with a space, which git does not allow: do not use its beginning
			}
		}
		if err := found.add(object, reference); err != nil {
			return nil, err
		}
		if peeled != "" {
			if err := found.add(peeled, reference+"^{}"); err != nil {
				return nil, err
			}
		}
	}
}

// advertisement is the first answer of a server: its capabilities and, before protocol
// version 2, all its references.
type advertisement struct {
	lsRefs       bool   // version 2
	objectFormat string // sha1 or sha256, "" is sha1
	tags         []Tag  // versions 0 and 1
}

// readAdvertisement reads the answer to a GET of info/refs.
// https://git-scm.com/docs/http-protocol#_smart_server_response
// https://git-scm.com/docs/protocol-v2#_capability_advertisement
func readAdvertisement(from io.Reader) (advertisement, error) {
	var found advertisement
	var old refs
	p := newPackets(from)
	first, err := p.next()
	if err == nil && first.line == "# service=git-upload-pack" {
		if first, err = p.next(); err == nil { // a flush
			first, err = p.next()
		}
	}
	version2 := first.line == "version 2"
	for packet := first; ; {
		if err != nil {
			return advertisement{}, err
		}
		if packet.mark {
			found.tags = old.tags
			return found, nil
		}
		if version2 {
			ability, value, _ := strings.Cut(packet.line, "=")
			switch ability {
			case "ls-refs":
				found.lsRefs = true
			case "object-format":
				found.objectFormat = value
			}
		} else if line, _, _ := strings.Cut(packet.line, "\x00"); !strings.HasPrefix(line, "version ") {
			object, reference, _ := strings.Cut(line, " ")
			if err := old.add(object, reference); err != nil {
				return advertisement{}, err
			}
		}
		packet, err = p.next()
	}
}

// line returns a packet with a line.
func line(text string) string { return fmt.Sprintf("%04x%s\n", len(text)+5, text) }

// lsRefs returns a request for all tags with the commits that they point to.
func lsRefs(objectFormat string) string {
	request := line("command=ls-refs") + line("agent="+userAgent)
	if objectFormat != "" {
		request += line("object-format=" + objectFormat)
	}
	return request + "0001" + line("peel") + line("ref-prefix "+tagPrefix) + "0000"
}
