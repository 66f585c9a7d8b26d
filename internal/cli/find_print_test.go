package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/find"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/ui"
	"github.com/libresh/libre/internal/vex"
)

// inWidth is an env that writes to a terminal of a width, or to a file if that is 0.
func inWidth(width int) (*env, *bytes.Buffer) {
	var out bytes.Buffer
	return &env{UI: ui.New(ui.Options{Stdout: &out, Stderr: &out, StdoutTerminal: width > 0, Size: func() (int, int) { return width, 24 }})}, &out
}

func TestWhatIsFoundIsReadableInATerminalOfAnyWidth(t *testing.T) {
	const reference, way = "localhost:5000/lasuite/docs-backend-default:5.4.1-1", "docs-backend-default → python3 → openssl"
	match := find.Match{Component: sbom.Component{Name: "openssl", Version: "3.0.17"}, Way: []string{"python3", "openssl"}, Answer: "not_affected (component_not_present)"}
	for _, width := range []int{0, 20, 40, 80, 400} {
		for _, withAnswers := range []bool{false, true} {
			e, out := inWidth(width)
			f := &finder{env: e, images: []foundIn{{reference: reference, platform: "linux/amd64", where: "published"}}}
			if err := f.print([][]find.Match{{match}}, withAnswers, false); err != nil {
				t.Fatal(err)
			}
			for said, want := range map[string]bool{reference: true, way: true, match.Answer: withAnswers} {
				if strings.Contains(out.String(), said) != want {
					t.Errorf("width %d, answers %v: %q shown is %v, expected %v, in\n%s", width, withAnswers, said, !want, want, out)
				}
			}
		}
	}
}

func TestStatementsAreReadableInANarrowTerminal(t *testing.T) {
	for _, width := range []int{0, 20, 40, 80, 400} {
		e, out := inWidth(width)
		row := vexRow{
			Image: "docs/backend/default", Vulnerability: "CVE-2026-1234", Status: vex.NotAffected, Justification: "vulnerable_code_not_in_execute_path",
			Components: []string{"pkg:golang/golang.org/x/net@v0.39.0", "pkg:golang/golang.org/x/text@v0.41.0"}, Place: "apps/docs/vex.yaml:12",
		}
		if err := e.printVEX([]string{row.Image}, []vexRow{row}, false); err != nil {
			t.Fatal(err)
		}
		for _, said := range []string{row.Justification, strings.Join(row.Components, ","), row.Place} {
			if !strings.Contains(out.String(), said) {
				t.Errorf("width %d: %q is not in\n%s", width, said, out)
			}
		}
	}
}
