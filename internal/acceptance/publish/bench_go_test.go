package publish

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/v1/empty"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/testkit"
)

const (
	goServer = `package main

import (
	"fmt"
	"net/http"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, %q) })
	panic(http.ListenAndServe(":8080", nil))
}
`
	goServerDefinition = `{ mkApp, ... }: mkApp {
  name = "web"; version = "1.0"; packageVersion = %d;
  source.path = ./src;
  components.server = {
    package = { buildGoModule, ... }: buildGoModule { vendorHash = null; env.CGO_ENABLED = "0"; doCheck = false; };
    entrypoint = [ "bin/web" ];
  };
}
`
)

// BenchmarkGoApp publishes a web server in Go, which needs the standard library alone, without
// signing.
func BenchmarkGoApp(b *testing.B) {
	ko := testkit.GoProgram(b, "github.com/google/ko", "v0.19.1")
	c := newCatalogue(b, map[string]string{
		"web/default.nix": fmt.Sprintf(goServerDefinition, 1), "web/src/go.mod": "module example.org/web\n\ngo 1.26\n", "web/src/main.go": fmt.Sprintf(goServer, "0"),
	}, "x86_64-linux")
	c.file(b, "libre.yaml", "sign: none\n")
	kept := newStored(b)
	base := kept.host + "/base:1"
	if err := crane.Push(empty.Image, base, crane.Insecure); err != nil {
		b.Fatal(err)
	}
	source, changes := filepath.Join(c.dir, "apps", "web", "src"), 1
	run := rand.Text() // the store may have what an earlier run built
	change := func() {
		changes++
		c.file(b, "apps/web/src/main.go", fmt.Sprintf(goServer, fmt.Sprint(run, changes)))
		c.file(b, "apps/web/default.nix", fmt.Sprintf(goServerDefinition, changes))
	}
	libre := func(prepare func()) bench.Program {
		return bench.Program{Name: "libre push", Prepare: prepare, Run: func() bench.Use {
			return bench.Run(b, c.command("push", "web/server/default", "--to", kept.host+"/coop"))
		}}
	}
	peer := func(prepare func()) bench.Program {
		return bench.Program{Name: "ko build", Prepare: prepare, Run: func() bench.Use {
			cmd := exec.Command(ko, "build", "--bare", "--sbom=none", "--insecure-registry", "--platform=linux/amd64", ".")
			cmd.Dir = source
			cmd.Env = append(os.Environ(), "KO_DOCKER_REPO="+kept.host+"/ko", "KO_DEFAULTBASEIMAGE="+base, "CGO_ENABLED=0", "GOFLAGS=-mod=mod")
			return bench.Run(b, cmd)
		}}
	}
	libre(nil).Run() // each builds the standard library once
	peer(nil).Run()
	bench.Times(b, bench.Row{Table: "A Go app", Work: "build and push after a change of one file"}, libre(change), peer(change))
	libre(nil).Run() // the change for ko
	bench.Times(b, bench.Row{Table: "A Go app", Work: "build and push, nothing changed"}, libre(nil), peer(nil))
	if got := c.run("status", "web/server/default", "--to", kept.host+"/coop").want(b, 0); !strings.Contains(got.stdout, "published") {
		b.Fatalf("it is not published:\n%s", got.stdout)
	}
}
