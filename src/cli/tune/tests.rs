use super::*;

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A machine of four cores with a card of one queue and one of four, and a server that runs.
fn machine() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "sys/devices/system/cpu/online", "0-3\n");
    for cpu in 0..4 {
        let governor = if cpu == 0 { "performance\n" } else { "powersave\n" };
        write(root, &format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"), governor);
    }
    write(root, "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    write(root, "sys/class/net/lo/queues/rx-0/rps_cpus", "0\n");
    write(root, "sys/class/net/eth0/device/vendor", "1\n");
    write(root, "sys/class/net/eth0/queues/rx-0/rps_cpus", "00000000,0000000f\n");
    write(root, "sys/class/net/eth1/device/msi_irqs/40", "msi\n");
    write(root, "sys/class/net/eth1/device/msi_irqs/41", "msi\n");
    for queue in 0..4 {
        write(root, &format!("sys/class/net/eth1/queues/rx-{queue}/rps_cpus"), "0\n");
    }
    write(root, "proc/irq/40/smp_affinity_list", "0\n");
    write(root, "proc/irq/41/smp_affinity_list", "0-3\n");
    write(root, "proc/sys/net/core/somaxconn", "8192\n");
    write(root, "proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
    write(root, "proc/sys/vm/swappiness", "60\n");
    write(root, "proc/7/cmdline", "/usr/bin/hermod\0run\0--config\0x\0");
    write(
        root,
        "proc/7/limits",
        "Max open files            1024                 4096                 files     \n",
    );
    for (task, cpus) in [(8, "0"), (9, "1")] {
        write(root, &format!("proc/7/task/{task}/comm"), &format!("worker-{task}\n"));
        write(
            root,
            &format!("proc/7/task/{task}/status"),
            &format!("Name:\tx\nCpus_allowed_list:\t{cpus}\n"),
        );
    }
    folder
}

fn state_of(verdict: &Verdict, name: &str) -> State {
    let found = verdict.findings.iter().find(|finding| finding.name == name);
    found.unwrap_or_else(|| panic!("nothing about {name}")).state
}

#[test]
fn what_is_set_what_is_not_and_what_is_not_there_are_told_apart() {
    let machine = machine();
    let verdict = check(machine.path());
    for name in [
        "net.core.somaxconn",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        "/sys/class/net/eth0/queues/rx-0/rps_cpus",
        "/proc/irq/40/smp_affinity_list",
        "worker threads",
    ] {
        assert_eq!(state_of(&verdict, name), State::Set, "{name}");
    }
    for name in [
        "net.ipv4.ip_local_port_range",
        "vm.swappiness",
        "/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor",
        "/proc/irq/41/smp_affinity_list",
        "LimitNOFILE",
    ] {
        assert_eq!(state_of(&verdict, name), State::Differs, "{name}");
    }
    assert_eq!(state_of(&verdict, "kernel.numa_balancing"), State::Absent);
    assert!(!verdict.all_set);
    assert!(verdict.findings.iter().all(|finding| !finding.why.is_empty()), "{verdict:?}");
    assert!(!verdict.findings.iter().any(|finding| finding.name.contains("/lo/")));
}

#[test]
fn a_host_without_a_server_and_with_everything_set_is_content() {
    let folder = tempfile::tempdir().unwrap();
    for setting in setting::of_sysctl(FILES[0].text) {
        write(folder.path(), &setting.place.to_string_lossy()[1..], &setting.wanted);
    }
    let verdict = check(folder.path());
    assert!(verdict.all_set, "{verdict:?}");
    assert_eq!(state_of(&verdict, "vm.swappiness"), State::Set);
    assert_eq!(state_of(&verdict, "LimitNOFILE"), State::Unknown);
}

#[test]
fn the_printed_files_name_the_machines_cores_cards_and_interrupts() {
    let machine = machine();
    let text = print(machine.path());
    for line in [
        "w /sys/class/net/eth0/queues/rx-0/rps_cpus - - - - f",
        "w /proc/irq/41/smp_affinity_list - - - - 1",
        "w /sys/devices/system/cpu/cpu3/cpufreq/scaling_governor - - - - performance",
        "net.core.somaxconn = 4096",
        "LimitNOFILE=262144",
    ] {
        assert!(text.lines().any(|own| own == line), "{line} is not in\n{text}");
    }
    assert!(text.lines().all(|line| line.starts_with('#') || !line.contains('{')), "{text}");
}

#[test]
fn every_line_of_the_files_says_what_it_buys_and_whether_that_was_measured() {
    for file in FILES {
        for (line, why) in setting::lines(file.text) {
            if !line.starts_with('[') {
                assert!(why.to_lowercase().contains("measured"), "{}: {line}", file.name);
            }
        }
    }
    assert_eq!(setting::of_sysctl(FILES[0].text).len(), 10);
}

#[test]
fn values_are_compared_as_numbers_choices_and_masks() {
    use setting::Rule;
    assert!(Rule::AtLeast.accepts("8192", "4096") && !Rule::AtLeast.accepts("128", "4096"));
    assert!(Rule::AtMost.accepts("1", "10") && !Rule::AtMost.accepts("x", "10"));
    assert!(Rule::Within.accepts("1024 65535", "10240 65535"));
    assert!(!Rule::Within.accepts("32768 60999", "10240 65535"));
    assert!(!Rule::Selected.accepts("[always] madvise never", "madvise"));
    assert!(Rule::Mask.accepts("00000000,0000000F", "f") && !Rule::Mask.accepts("7", "f"));
}
