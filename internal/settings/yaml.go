package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/sign"
)

// parse reads the text of libre.yaml, which may be empty. Paths in it are relative to dir.
func (s *Settings) parse(text []byte, dir string) error {
	document, err := readDocument(text)
	if err != nil || document == nil {
		return err
	}
	root := resolved(document.Content[0])
	if root.ShortTag() == "!!null" {
		return nil
	}
	at := location{path: File, expected: "settings", example: "registry: registry.example/coop"}
	if root.Kind != yaml.MappingNode {
		return at.wrong(root, "")
	}
	at.path = ""
	if err := mapping(s.keys(dir))(at, root); err != nil {
		return err
	}
	for _, to := range s.CopyTo {
		if sign.SamePrefix(to, s.Registry) {
			return located(lineOf(root, "copyTo"), "copyTo names "+to+", which is the registry", "for example: copyTo: [mirror.example/coop]")
		}
	}
	s.Sign.resolve(dir)
	s.Sign.Authorities = s.CA
	return s.completeCopies(lineOf(root, "sign"))
}

// lineOf returns the line of a key in a mapping.
func lineOf(mapping *yaml.Node, key string) int {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i].Line
		}
	}
	return 0
}

// readDocument reads the only document of a file. It returns nil if the file is empty.
func readDocument(text []byte) (*yaml.Node, error) {
	for i, line := range bytes.Split(text, []byte("\n")) {
		if !utf8.Valid(line) {
			return nil, located(i+1, "not UTF-8", "save the file as UTF-8")
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, syntaxError(text, err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, located(second.Line, "a second YAML document starts here", "remove the line --- and what is below it")
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(text, err)
	}
	return &document, nil
}

var yamlLine = lazyregexp.New(`^(?:yaml: )?(?:line (\d+): )?`)

// indented matches a line with a tab in its indentation.
var indented = lazyregexp.New(`^ *\t`)

// syntaxError explains an error of the YAML library.
func syntaxError(text []byte, err error) error {
	message := strings.Join(strings.Fields(err.Error()), " ")
	found := yamlLine().FindStringSubmatch(message)
	message = strings.TrimPrefix(message, found[0])
	for i, line := range strings.Split(string(text), "\n") {
		if indented().MatchString(line) && strings.TrimSpace(line) != "" {
			return located(i+1, "the line is indented with a tab", "indent it with spaces")
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' && r != '\r' || r == 0x7f }) {
			return located(i+1, "it has a control character", "remove it")
		}
	}
	return located(syntaxLine(text, found[1], message), "invalid YAML: "+message, `check the indentation, and quote a value that contains any of { } [ ] : # @ * & or %`)
}

var unknownAnchor = lazyregexp.New(`^unknown anchor '(.*)'`)

// syntaxLine corrects the library's line number: its parser counts from 0, its scanner
// from 1, and neither reports the first line.
func syntaxLine(text []byte, counted, message string) int {
	line := 0
	fmt.Sscan(counted, &line)
	if strings.HasPrefix(message, "did not find expected ") {
		line++
	}
	if anchor := unknownAnchor().FindStringSubmatch(message); anchor != nil {
		before, _, _ := bytes.Cut(text, []byte("*"+anchor[1]))
		line = 1 + bytes.Count(before, []byte("\n"))
	}
	return max(line, 1)
}

func located(line int, what, fix string) error {
	where := File
	if line > 0 {
		where = fmt.Sprintf("%s:%d", File, line)
	}
	return &fault.Fault{Err: fmt.Errorf("%s: %s", where, what), Fix: fix}
}
