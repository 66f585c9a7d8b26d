package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	objectA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	objectB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func TestReadRefs(t *testing.T) {
	for _, test := range []struct {
		name, answer string
		want         []Tag
		wrong        string
	}{
		{name: "none", answer: "0000"},
		{name: "light and annotated", answer: line(objectA+" refs/tags/v1") + line(objectA+" refs/tags/v2 peeled:"+objectB) + "0000",
			want: []Tag{{"v1", objectA}, {"v2", objectB}}},
		{name: "other references", answer: line(objectA+" refs/heads/main") + line("unborn HEAD symref-target:refs/heads/main") + "0000"},
		{name: "any bytes", answer: line(objectA+" refs/tags/$(x)\x1b[2J\u202e\";") + "0000",
			want: []Tag{{"$(x)\x1b[2J\u202e\";", objectA}}},
		{name: "a very long name", answer: line(objectA+" refs/tags/"+strings.Repeat("1", 10_000)) + line(objectB+" refs/tags/v1") + "0000",
			want: []Tag{{"v1", objectB}}},
		{name: "sha256", answer: line(objectA+objectA[:24]+" refs/tags/v1") + "0000", want: []Tag{{"v1", objectA + objectA[:24]}}},
		{name: "an error", answer: line("ERR no such service"), wrong: "the server says: no such service"},
		{name: "cut short", answer: line(objectA+" refs/tags/v1") + "0040" + objectA, wrong: "ends early"},
		{name: "without an end", answer: line(objectA + " refs/tags/v1"), wrong: "ends early"},
		{name: "a page for people", answer: "<!DOCTYPE html>", wrong: `begins with "<!DO"`},
		{name: "no object", answer: line("x refs/tags/v1") + "0000", wrong: "not an object's name"},
		{name: "an empty line", answer: "0004", wrong: "not an object's name"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readRefs(strings.NewReader(test.answer))
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Errorf("error %v, want one with %q", err, test.wrong)
				}
			} else if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

// endless sends the same line for ever.
type endless struct {
	line string
	rest string
}

func (e *endless) Read(into []byte) (int, error) {
	if e.rest == "" {
		e.rest = e.line
	}
	n := copy(into, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func TestReadRefsEnds(t *testing.T) {
	_, err := readRefs(&endless{line: line(objectA + " refs/tags/v1")})
	if err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("error %v, want one about too many", err)
	}
	_, err = readRefs(&endless{line: line(objectA + " refs/tags/" + strings.Repeat("x", 30_000))})
	if !errors.Is(err, errNoPacket) {
		t.Errorf("error %v, want the end of what is read", err)
	}
}

func TestReadAdvertisement(t *testing.T) {
	service := line("# service=git-upload-pack") + "0000"
	for _, test := range []struct {
		name, answer string
		want         advertisement
	}{
		{"version 2", service + line("version 2") + line("ls-refs=unborn") + line("object-format=sha256") + "0000",
			advertisement{lsRefs: true, objectFormat: "sha256"}},
		{"without the service", line("version 2") + line("ls-refs") + "0000", advertisement{lsRefs: true}},
		{"version 0", service + line(objectA+" HEAD\x00multi_ack peel") + line(objectA+" refs/tags/v1") +
			line(objectA+" refs/tags/v2") + line(objectB+" refs/tags/v2^{}") + "0000",
			advertisement{tags: []Tag{{"v1", objectA}, {"v2", objectB}}}},
		{"version 1", service + line("version 1") + line(objectA+" refs/tags/v1\x00caps") + "0000",
			advertisement{tags: []Tag{{"v1", objectA}}}},
		{"version 0, empty", service + line(strings.Repeat("0", 40)+" capabilities^{}\x00caps") + "0000", advertisement{}},
	} {
		got, err := readAdvertisement(strings.NewReader(test.answer))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: got %v, %v, want %v", test.name, got, err, test.want)
		}
	}
}

func FuzzPackets(f *testing.F) {
	for _, seed := range []string{"0000", "", "ffff", "0001", lsRefs("sha1"), line("version 2") + line("ls-refs") + "0000",
		line(objectA+" refs/tags/v2 peeled:"+objectB) + "0000", line(objectA+" refs/tags/v2\x00x") + line(objectB+" refs/tags/v2^{}") + "0000"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		tags, err := readRefs(bytes.NewReader(answer))
		ad, adErr := readAdvertisement(bytes.NewReader(answer))
		if err != nil && tags != nil || adErr != nil && ad.tags != nil {
			t.Error("tags beside an error")
		}
		lines, _ := readLsRemote(string(answer))
		for _, tag := range slices.Concat(tags, ad.tags, lines) {
			if tag.Name == "" || len(tag.Name) > mostNameBytes || len(tag.Commit) != 40 && len(tag.Commit) != 64 {
				t.Errorf("tag %q", tag)
			}
		}
	})
}
