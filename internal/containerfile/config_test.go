package containerfile

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
)

func TestReadConfig(t *testing.T) {
	text := func(s string) *string { return &s }
	set := func(names ...string) map[string]struct{} {
		var all map[string]struct{}
		for _, name := range names {
			add(&all, name)
		}
		return all
	}
	for _, test := range []struct {
		name, file string
		target     *string
		args       map[string]*string
		config     v1.Config
		lines      map[string]int
	}{
		{"nothing", "FROM scratch\nCOPY . /\n", nil, nil, v1.Config{}, map[string]int{}},
		{"everything", `FROM python:3
LABEL maintainer=us org.opencontainers.image.vendor="A Company" \
  org.opencontainers.image.authors='B'
WORKDIR /srv
WORKDIR app
USER 1000:1000
EXPOSE 8000 8001/udp 9000-9002
VOLUME /data
VOLUME ["/a b", "/c"]
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=30s --timeout=3s --start-period=1m --retries=5 CMD curl -f localhost
ENTRYPOINT ["/entrypoint"]
CMD gunicorn app
`, nil, nil, v1.Config{
			Labels:     map[string]string{"maintainer": "us", "org.opencontainers.image.vendor": "A Company", "org.opencontainers.image.authors": "B"},
			WorkingDir: "/srv/app", User: "1000:1000", ExposedPorts: set("8000/tcp", "8001/udp", "9000/tcp", "9001/tcp", "9002/tcp"),
			Volumes: set("/data", "/a b", "/c"), StopSignal: "SIGQUIT",
			Healthcheck: &v1.HealthConfig{Test: []string{"CMD-SHELL", "curl -f localhost"}, Interval: 30 * time.Second, Timeout: 3 * time.Second, StartPeriod: time.Minute, Retries: 5},
			Entrypoint:  []string{"/entrypoint"}, Cmd: []string{"/bin/sh", "-c", "gunicorn app"},
		}, map[string]int{
			"LABEL maintainer": 2, "LABEL org.opencontainers.image.vendor": 2, "LABEL org.opencontainers.image.authors": 2,
			"WORKDIR": 5, "USER": 6, "EXPOSE": 7, "VOLUME": 9, "STOPSIGNAL": 10, "HEALTHCHECK": 11, "ENTRYPOINT": 12, "CMD": 13,
		}},
		{"variables", `ARG PORT=1
FROM scratch
ARG PORT
ARG USER=app
ARG DIR=/data
ENV HOME=/home/$USER DIR=/other
EXPOSE ${PORT}
USER $USER
VOLUME $DIR
WORKDIR $HOME
LABEL org.opencontainers.image.url=https://$USER.example
STOPSIGNAL SIG$OF_THE_BASE
LABEL x=${Y:-z}
`, nil, map[string]*string{"PORT": text("3000"), "USER": text("node")}, v1.Config{
			ExposedPorts: set("3000/tcp"), User: "node", Volumes: set("/other"), WorkingDir: "/home/node",
			Labels: map[string]string{"org.opencontainers.image.url": "https://node.example", "x": "z"}, StopSignal: "SIG$OF_THE_BASE",
		}, map[string]int{"EXPOSE": 7, "USER": 8, "VOLUME": 9, "WORKDIR": 10, "LABEL org.opencontainers.image.url": 11, "STOPSIGNAL": 12, "LABEL x": 13}},
		{"stages", `FROM scratch AS base
USER 1
EXPOSE 1
CMD ["base"]
FROM scratch AS other
USER 9
EXPOSE 9
FROM base AS prod
EXPOSE 2
ENTRYPOINT ["prod"]
FROM base AS last
SHELL ["/bin/bash", "-c"]
CMD last
`, text("prod"), nil, v1.Config{User: "1", ExposedPorts: set("1/tcp", "2/tcp"), Entrypoint: []string{"prod"}},
			map[string]int{"USER": 2, "EXPOSE": 9, "ENTRYPOINT": 10}},
		{"the last stage", "FROM scratch AS a\nENTRYPOINT [\"a\"]\nHEALTHCHECK NONE\nFROM a\nSHELL [\"/bin/bash\", \"-c\"]\nCMD b\n", nil, nil,
			v1.Config{Entrypoint: []string{"a"}, Cmd: []string{"/bin/bash", "-c", "b"}, Healthcheck: &v1.HealthConfig{Test: []string{"NONE"}}},
			map[string]int{"ENTRYPOINT": 2, "HEALTHCHECK": 3, "CMD": 6}},
	} {
		source := t.TempDir()
		if err := os.WriteFile(filepath.Join(source, "Dockerfile"), []byte(test.file), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := ReadConfig(&catalog.Spec{System: "x86_64-linux", Content: &catalog.ContainerfileImage{File: "Dockerfile", Context: ".", Target: test.target, Args: test.args}}, source)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(&FileConfig{File: "Dockerfile", Config: test.config, Lines: test.lines}, got); diff != "" {
			t.Errorf("%s:\n%s", test.name, diff)
		}
	}
}
