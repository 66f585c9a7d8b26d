package containerfile

import (
	_ "embed"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

//go:embed runtime.sh
var runtimeScript []byte

// authoritiesAt is the folder of CA certificates in a step: in its container's own
// memory, so that no layer contains it.
const authoritiesAt = "/dev/shm/libre"

// authorityFiles are the other files there: wget and apt need a configuration file.
var authorityFiles = map[string]string{
	"wgetrc":   "ca_certificate = " + authoritiesAt + "/ca.pem\n",
	"apt.conf": `Acquire::https::CAInfo "` + authoritiesAt + "/ca.pem\";\n",
}

// authorityVariables name these files for the usual tools of builds.
// NODE_EXTRA_CA_CERTS adds to the trusted certificates, the others replace them.
var authorityVariables = map[string]string{
	"SSL_CERT_FILE":       "ca.pem", // OpenSSL, and with it Python, Ruby, PHP and apk; Go, Rust, .NET
	"CURL_CA_BUNDLE":      "ca.pem",
	"GIT_SSL_CAINFO":      "ca.pem",
	"REQUESTS_CA_BUNDLE":  "ca.pem",
	"PIP_CERT":            "ca.pem",
	"NODE_EXTRA_CA_CERTS": "ca.pem",
	"DENO_CERT":           "ca.pem",
	"CARGO_HTTP_CAINFO":   "ca.pem",
	"NIX_SSL_CERT_FILE":   "ca.pem",
	"AWS_CA_BUNDLE":       "ca.pem",
	"WGETRC":              "wgetrc",
	"APT_CONFIG":          "apt.conf",
}

// stepEnv is what steps get without a trace in the image: variables and a folder.
type stepEnv struct {
	variables []string // NAME=VALUE
	folder    string   // of CA certificates, "" for none
	runtime   string   // path of a copy of runtime.sh, which sets the variables
}

// stepEnv prepares the proxy and certificates of libre.yaml for steps, in files below
// work. runtime is the OCI runtime that starts them.
func (j *job) stepEnv(work, runtime string) (stepEnv, error) {
	g := stepEnv{variables: j.proxy.variables()}
	if len(j.CA) > 0 {
		g.folder = filepath.Join(work, "authorities")
		if err := os.Mkdir(g.folder, 0o755); err != nil {
			return g, err
		}
		files := map[string]string{"ca.pem": string(j.CA)}
		for name, content := range authorityFiles {
			files[name] = content
		}
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(g.folder, name), []byte(content), 0o644); err != nil {
				return g, err
			}
		}
		for name, file := range authorityVariables {
			g.variables = append(g.variables, name+"="+authoritiesAt+"/"+file)
		}
	}
	if len(g.variables) == 0 {
		return g, nil
	}
	g.runtime = filepath.Join(work, "runtime", filepath.Base(runtime)) // podman expects the runtime's name
	if err := os.Mkdir(filepath.Dir(g.runtime), 0o755); err != nil {
		return g, err
	}
	return g, os.WriteFile(g.runtime, runtimeScript, 0o755)
}

// flags returns the flags of "build".
func (g stepEnv) flags() []string {
	if g.folder == "" {
		return nil
	}
	return []string{"--volume", g.folder + ":" + authoritiesAt + ":ro,z"}
}

// engineVariables returns the engine's own variables: the proxy and certificates for what
// it fetches itself, and the variables of runtime.sh.
func (g stepEnv) engineVariables(runtime string) []string {
	if len(g.variables) == 0 {
		return nil
	}
	var lines []string
	var all []string
	for _, variable := range g.variables {
		quoted, _ := json.Marshal(variable)
		lines = append(lines, string(quoted))
		if isProxy(variable) {
			all = append(all, variable)
		}
	}
	if g.folder != "" {
		all = append(all, "SSL_CERT_FILE="+filepath.Join(g.folder, "ca.pem"))
	}
	return append(all, "LIBRE_RUNTIME="+runtime, "LIBRE_STEP_VARIABLES="+strings.Join(lines, "\n"))
}
