package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/text"
)

// mostOutput is the number of bytes that are kept of an external scanner's output.
const mostOutput = 64 << 20

// RunCommand runs an external scanner without a shell. In its arguments {sbom} stands for a
// file with a CycloneDX SBOM, and {vex} for one with OpenVEX. It returns the scanner's output,
// with an error if the scanner fails.
func RunCommand(ctx context.Context, command []string, cyclonedx, openVEX []byte) (output []byte, err error) {
	dir, err := os.MkdirTemp("", "libre-scan-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	files := map[string][]byte{"sbom.cdx.json": cyclonedx, "image.openvex.json": openVEX}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	replace := strings.NewReplacer("{sbom}", filepath.Join(dir, "sbom.cdx.json"), "{vex}", filepath.Join(dir, "image.openvex.json"))
	args := make([]string, len(command)-1)
	for i, arg := range command[1:] {
		args[i] = replace.Replace(arg)
	}
	cmd := process.Command(ctx, command[0], args...)
	cmd.Env = process.Environment("GRYPE_*", "TRIVY_*") // such as the folder of the scanner's database
	out, log := process.Capture{Most: mostOutput}, process.Capture{Most: 64 << 10, End: true}
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist):
		return nil, &fault.Fault{Err: fmt.Errorf("the scanner %s is not installed", command[0]), Fix: "install it, or remove scan.command from libre.yaml"}
	case out.Err() != nil:
		return nil, fmt.Errorf("%s: %w", command[0], out.Err())
	case err != nil:
		err = fmt.Errorf("%s ended with %w%s", command[0], err, lastLine(log.Bytes()))
	}
	return out.Bytes(), err
}

// lastLine returns the last line of a program's log.
func lastLine(log []byte) string {
	lines := strings.Split(strings.TrimSpace(text.Output(string(log))), "\n")
	if last := text.Short(lines[len(lines)-1], 400); last != "" {
		return ": " + last
	}
	return ""
}
