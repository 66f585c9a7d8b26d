package registry

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// readList reads an image index as a stream. It drops the descriptors that keep refuses at
// once; a nil keep keeps all. It omits elements that are not descriptors, or that are larger
// than an attachment's descriptor can be. is is false for anything but an index, such as a web
// page, an error or a list of another kind.
func readList(content io.Reader, keep func(*v1.Descriptor) bool) (list v1.IndexManifest, is bool, err error) {
	from := &limited{content, mostListed, nil}
	members := jsonScan{Reader: bufio.NewReaderSize(from, 32<<10)}
	var mediaType types.MediaType
	var manifests, config bool // whether it has them
	err = members.each('{', '}', func(key string) error {
		switch key {
		case "manifests":
			if next, err := members.peek(); err != nil || next != '[' {
				return members.decode(&manifests) // null
			}
			manifests = true
			return members.each('[', ']', func(string) error {
				raw, err := members.value()
				if err != nil || !bytes.Contains(raw, []byte(`"digest"`)) {
					return err
				}
				var described v1.Descriptor
				if json.Unmarshal(raw, &described) != nil || described.Digest.Hex == "" || keep != nil && !keep(&described) {
					return nil
				}
				if len(list.Manifests) == mostReferrers {
					return errTooManyReferrers
				}
				list.Manifests = append(list.Manifests, described)
				return nil
			})
		case "mediaType":
			return members.decode(&mediaType)
		case "annotations":
			return members.decode(&list.Annotations)
		}
		config = config || key == "config"
		_, err := members.value()
		return err
	})
	list.MediaType = mediaType
	switch {
	case from.err != nil: // of the network, or too much
		return list, false, from.err
	case errors.Is(err, errTooManyReferrers):
		return list, false, err
	}
	return list, err == nil && (mediaType.IsIndex() || mediaType == "" && manifests && !config), nil
}

var errTooManyReferrers = fmt.Errorf("it lists more than %d attachments: delete those that are not yours in the registry", mostReferrers)

// limited reads content and returns an error after left bytes.
type limited struct {
	content io.Reader
	left    int64
	err     error // why it ended early
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		l.err = fmt.Errorf("a page of the list has more than %d bytes", mostListed)
		return 0, l.err
	}
	n, err := l.content.Read(p)
	l.left -= int64(n)
	if err != nil && err != io.EOF {
		l.err = err
	}
	return n, err
}

// jsonScan reads JSON value by value. It only finds the ends of values, and accepts some text
// that is not quite JSON.
type jsonScan struct {
	*bufio.Reader
	raw []byte // of the current value
}

var errNoList = errors.New("not a list")

// peek returns the next byte that is not white space, without reading it.
func (s *jsonScan) peek() (byte, error) {
	for {
		b, err := s.ReadByte()
		if err != nil {
			return 0, err
		}
		if !strings.ContainsRune(" \t\r\n", rune(b)) {
			return b, s.UnreadByte()
		}
	}
}

// each calls do before each member of an object, with its key, or each element of an
// array. do reads the value.
func (s *jsonScan) each(opens, closes byte, do func(key string) error) error {
	if b, err := s.peek(); err != nil || b != opens {
		return errors.Join(errNoList, err)
	}
	for {
		_, _ = s.Discard(1) // what opens it, or the comma
		next, err := s.peek()
		if err == nil && next == closes {
			_, err = s.Discard(1)
			return err
		}
		key := ""
		if err == nil && opens == '{' {
			key, err = s.key()
		}
		if err == nil {
			err = do(key)
		}
		if err != nil {
			return err
		}
		switch next, err = s.peek(); {
		case err != nil:
			return err
		case next == closes:
			_, err = s.Discard(1)
			return err
		case next != ',':
			return errNoList
		}
	}
}

func (s *jsonScan) key() (key string, err error) {
	if err := s.decode(&key); err != nil {
		return "", err
	}
	if next, err := s.peek(); err != nil || next != ':' {
		return "", errors.Join(errNoList, err)
	}
	_, err = s.Discard(1)
	return key, err
}

func (s *jsonScan) decode(into any) error {
	raw, err := s.value()
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// value returns the next value, nil if it is larger than mostDescriptor. It is valid until
// the next call.
func (s *jsonScan) value() ([]byte, error) {
	if _, err := s.peek(); err != nil {
		return nil, err
	}
	s.raw = s.raw[:0]
	over := false
	for depth, text, escaped := 0, false, false; ; {
		b, err := s.ReadByte()
		if err != nil {
			return nil, errors.Join(errNoList, err)
		}
		if !text && depth == 0 && strings.IndexByte(",:]} \t\r\n", b) >= 0 { // after a number or a word
			return s.ended(over), s.UnreadByte()
		}
		if over = over || len(s.raw) == mostDescriptor; !over {
			s.raw = append(s.raw, b)
		}
		switch {
		case text && escaped:
			escaped = false
		case text:
			escaped, text = b == '\\', b != '"'
		case b == '"':
			text = true
			continue
		case b == '{' || b == '[':
			depth++
		case b == '}' || b == ']':
			depth--
		}
		if !text && depth == 0 && strings.IndexByte(`"}]`, b) >= 0 {
			return s.ended(over), nil
		}
	}
}

func (s *jsonScan) ended(over bool) []byte {
	if over {
		return nil
	}
	return s.raw
}
