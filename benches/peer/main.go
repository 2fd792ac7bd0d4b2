// Peer times what Flux's update rests on, over the input that butler's own bench generates: kyaml, which reads and
// writes the manifests, and Masterminds/semver and Go's regexp, which choose the tag. It is a lower bound of Flux's
// controllers: they do this and more (copies of the tree, OpenAPI setters, a commit). Beside each time stands how much
// longer it is than butler's, which does more of it: it also resolves markers and looks for what the files render.
// See docs/performance.md.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"sigs.k8s.io/kustomize/kyaml/kio"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: peer DIR...   (folders that `cargo bench -- --write` made)")
		os.Exit(2)
	}
	fmt.Println("| repository | files read | values set | time | ÷ butler | peak memory |\n|---|--:|--:|--:|--:|--:|")
	for _, dir := range os.Args[1:] {
		if err := repository(dir); err != nil {
			fmt.Fprintln(os.Stderr, dir, err)
			os.Exit(1)
		}
	}
	fmt.Println("\n| choosing from 100000 tags | time | ÷ butler | chosen |\n|---|--:|--:|---|")
	tags(butler(os.Args[1]))
}

// repository reads each file with a marker, sets the marked values, and writes the file to memory.
func repository(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "newest.json"))
	if err != nil {
		return err
	}
	newest := map[string]string{}
	if err := json.Unmarshal(text, &newest); err != nil {
		return err
	}
	start := time.Now()
	read, set := 0, 0
	err = filepath.WalkDir(filepath.Join(dir, "checkout"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(content, []byte("$imagepolicy")) {
			return err
		}
		read++
		reader := kio.ByteReader{Reader: bytes.NewReader(content), PreserveSeqIndent: true}
		nodes, err := reader.Read()
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, node := range nodes {
			set += visit(node.YNode(), newest)
		}
		return kio.ByteWriter{Writer: &bytes.Buffer{}}.Write(nodes)
	})
	if err != nil {
		return err
	}
	took := ms(start)
	fmt.Printf("| %s | %d | %d | %.1f ms | %.1f | %s |\n", filepath.Base(dir), read, set, took, took/butler(dir)["repository"], peak())
	return nil
}

// butler is what butler's own bench took in that folder, in milliseconds.
func butler(dir string) map[string]float64 {
	times := map[string]float64{}
	text, err := os.ReadFile(filepath.Join(dir, "butler.json"))
	if err == nil {
		err = json.Unmarshal(text, &times)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "without butler's times:", err)
	}
	return times
}

var marker = regexp.MustCompile(`^# \{"\$imagepolicy": "[^:]+:([^:"]+)(:[a-z]+)?"\}$`)

func visit(node *yaml.Node, newest map[string]string) int {
	set := 0
	if found := marker.FindStringSubmatch(node.LineComment); found != nil && node.Kind == yaml.ScalarNode {
		image := newest[found[1]]
		if found[2] == ":tag" {
			image = image[strings.LastIndex(image, ":")+1:]
		}
		node.Value = image
		set++
	}
	for _, child := range node.Content {
		set += visit(child, newest)
	}
	return set
}

const count = 100_000

func tags(butler map[string]float64) {
	versions, builds := make([]string, count), make([]string, count)
	for n := range count {
		versions[n] = fmt.Sprintf("%d.%d.%d", 1+n/60, n/10%6, n%10)
		builds[n] = fmt.Sprintf("main-%07x-%d", (7919+n*104729)&0x0fffffff, 1700000000+n*1200)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(versions)))
	sort.Sort(sort.Reverse(sort.StringSlice(builds)))

	start := time.Now()
	constraint, _ := semver.NewConstraint(">=1.0.0")
	var best *semver.Version
	for _, tag := range versions {
		version, err := semver.NewVersion(tag)
		if err == nil && constraint.Check(version) && (best == nil || best.LessThan(version)) {
			best = version
		}
	}
	took := ms(start)
	fmt.Printf("| semver | %.2f ms | %.1f | %s |\n", took, took/butler["semver"], best.Original())

	start = time.Now()
	pattern := regexp.MustCompile(`^main-[a-f0-9]+-(?P<ts>[0-9]+)$`)
	chosen, highest := "", -1.0
	for _, tag := range builds {
		found := pattern.FindStringSubmatchIndex(tag)
		if len(found) == 0 {
			continue
		}
		number, err := strconv.ParseFloat(string(pattern.ExpandString(nil, "$ts", tag, found)), 64)
		if err == nil && number >= highest {
			chosen, highest = tag, number
		}
	}
	took = ms(start)
	fmt.Printf("| regex + numerical | %.2f ms | %.1f | %s |\n", took, took/butler["regex + numerical"], chosen)
}

func ms(start time.Time) float64 {
	return float64(time.Since(start).Microseconds()) / 1000
}

// peak is the most memory that was resident, on Linux; it grows from one repository to the next.
func peak() string {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, _ := strconv.Atoi(strings.Fields(rest)[0])
			return fmt.Sprintf("%d MiB", kib/1024)
		}
	}
	return "-"
}
