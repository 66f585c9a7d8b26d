package containerfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/fault"
)

// engineFaults are scripts of an engine that ends badly. $real runs the real engine.
var engineFaults = map[string]string{
	"no words of it":      `echo "hello <html>"`,
	"nothing":             ``,
	"killed":              `kill -9 $$; exit 137`, // the first process of a namespace cannot kill itself
	"killed in its words": `$real "$@" | head -c 20; kill -9 $$; exit 137`,
	"one endless line":    `head -c 80000000 /dev/zero | tr '\0' x; exit 1`,
}

// However an engine ends, libre reports one short line, and the next build makes the image.
func TestNextBuildCompletesWhatAnEngineFailed(t *testing.T) {
	eachEngine(t, func(t *testing.T, e Engine) {
		base := catalogueLayout(t, "base", busyboxIndex(t))
		wrapper := filepath.Join(t.TempDir(), e.Name)
		build := func(path, dir string) (err error) {
			req := request(t, write(t, map[string]string{"Containerfile": "FROM base\nRUN busybox true\n"}), map[string]Origin{"base": {Layout: base}})
			_, err = NewBuilder(Engine{Name: e.Name, Path: path, Version: e.Version}, dir).Build(t.Context(), req)
			return err
		}
		for _, operation := range []string{"pull", "inspect", "build", "push"} {
			dir := newStorage(t, e)
			for name, script := range engineFaults {
				text := fmt.Sprintf("#!/bin/sh\nreal=%s\ncase \" $* \" in *' %s '*) ;; *) exec $real \"$@\";; esac\n%s\n", e.Path, operation, script)
				if err := os.WriteFile(wrapper, []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
				err := build(wrapper, dir)
				var failed *Error
				if err == nil || strings.Contains(err.Error(), "\n") || len(err.Error()) > 1500 {
					t.Errorf("%s, %s: %.1000v", operation, name, err)
				} else if errors.As(err, &failed) && failed.Reason == "" || fault.Reason(err) == "" {
					t.Errorf("%s, %s: no reason: %v", operation, name, err)
				}
			}
			if err := build(e.Path, dir); err != nil {
				t.Errorf("after faults of %s: %v", operation, describe(err))
			}
		}
	})
}
