package image

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/libresh/libre/internal/lazyregexp"
)

// compareJSON finds the first value that differs between two documents whose digests
// differ. Keys are in the order of their names.
func compareJSON(where string, published, rebuilt []byte) (*Difference, error) {
	a, err := decodeJSON(published)
	if err != nil {
		return nil, fmt.Errorf("reading the published %s: %w", where, err)
	}
	b, err := decodeJSON(rebuilt)
	if err != nil {
		return nil, fmt.Errorf("reading the rebuilt %s: %w", where, err)
	}
	d := firstValue("", a, b)
	if d == nil {
		d = &Difference{How: "the same values, written as JSON differently"}
	}
	d.Where = where
	return d, nil
}

func decodeJSON(text []byte) (value any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // a float64 would make large numbers equal
	err = d.Decode(&value)
	return value, err
}

// absent is the value that only the other document has.
type absent struct{}

func firstValue(path string, a, b any) *Difference {
	switch inA := a.(type) {
	case map[string]any:
		inB, same := b.(map[string]any)
		if !same {
			break
		}
		keys := slices.AppendSeq(slices.Collect(maps.Keys(inA)), maps.Keys(inB))
		slices.Sort(keys)
		for _, key := range slices.Compact(keys) {
			if d := firstValue(path+keyPath(path, key), orAbsent(inA, key), orAbsent(inB, key)); d != nil {
				return d
			}
		}
		return nil
	case []any:
		inB, same := b.([]any)
		if !same {
			break
		}
		for i := range max(len(inA), len(inB)) {
			if d := firstValue(fmt.Sprintf("%s[%d]", path, i), element(inA, i), element(inB, i)); d != nil {
				return d
			}
		}
		return nil
	default:
		if a == b {
			return nil
		}
	}
	return &Difference{Path: path, How: bothValues(a, b)}
}

func orAbsent(object map[string]any, key string) any {
	if value, ok := object[key]; ok {
		return value
	}
	return absent{}
}

func element(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return absent{}
}

var plainKey = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// keyPath returns the path of a key as jq writes it: .Env, ["8000/tcp"].
func keyPath(path, key string) string {
	switch {
	case !plainKey().MatchString(key):
		return "[" + strconv.Quote(shortened(key)) + "]"
	case path == "":
		return key
	}
	return "." + key
}

func bothValues(published, rebuilt any) string {
	a, okA := published.(string)
	b, okB := rebuilt.(string)
	if okA && okB {
		return bothStrings(a, b)
	}
	return bothSides(valueText(published), valueText(rebuilt))
}

func valueText(value any) string {
	switch v := value.(type) {
	case absent:
		return "absent"
	case string:
		return strconv.Quote(shortened(v))
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("%T", value) // cannot happen: it was decoded
	}
	return printable(string(text))
}

// bothStrings quotes two different strings; of long ones, the part around the first
// difference.
func bothStrings(published, rebuilt string) string {
	common := 0
	for common < min(len(published), len(rebuilt)) && published[common] == rebuilt[common] {
		common++
	}
	from := 0
	if max(len(published), len(rebuilt)) > maxText {
		from = max(0, common-maxText/4)
	}
	excerpt := func(text string) string {
		if from == 0 {
			return strconv.Quote(shortened(text))
		}
		return "…" + strconv.Quote(shortened(text[from:]))
	}
	return bothSides(excerpt(published), excerpt(rebuilt))
}

func bothSides[T any](published, rebuilt T) string {
	return fmt.Sprintf("%v published, %v rebuilt", published, rebuilt)
}

// maxText is how many bytes of a string from an image are shown.
const maxText = 160

func shortened(text string) string {
	if len(text) <= maxText {
		return text
	}
	end := maxText
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// printable returns a string from an image unchanged if it is safe to print, or else
// quoted.
func printable(text string) string {
	text = shortened(text)
	plain := text != "" && strings.TrimSpace(text) == text && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) })
	if plain {
		return text
	}
	return strconv.Quote(text)
}
