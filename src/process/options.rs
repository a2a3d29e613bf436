//! [`Builder`]'s options that the system applies before the child runs the executable.

use super::{Builder, Resource};

/// Process groups, priorities, limits and users.
///
/// If the system refuses one of these options, `spawn` fails, names the option, and no process
/// stays behind. The child's function can do everything else first. No code of the user runs
/// between fork and exec.
impl Builder {
    /// Sets whether the child gets a process group of its own. By default it is in the group of
    /// this process.
    ///
    /// The terminal sends Ctrl-C (SIGINT), Ctrl-\ and Ctrl-Z to the whole process group in its
    /// foreground, and a shell sends SIGHUP to all groups that it started. A child in a group of
    /// its own gets none of them, so its parent decides when it ends. The child must not read from
    /// the terminal, because SIGTTIN would stop it. To block only Ctrl-C, use
    /// [`ignore_interrupt`](Self::ignore_interrupt).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// multiprocess::init();
    /// let child = multiprocess::process::Builder::new()
    ///     .new_process_group(true) // Ctrl-C reaches the parent only,
    ///     .kill_with_parent(true) // which takes the child with it.
    ///     .spawn(|n: u32| n + 1, 4)?;
    /// assert_eq!(child.join()?, 5);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("setpgid", "SIGINT", "Ctrl-C"))]
    pub fn new_process_group(mut self, new: bool) -> Self {
        self.set_up.new_group = new;
        self
    }

    /// Sets whether the child ignores SIGINT.
    ///
    /// Ctrl-C sends SIGINT to every process of the foreground group. The child's own children and
    /// the programs that it executes ignore it as well, unless they change it.
    #[doc(alias("SIGINT", "Ctrl-C"))]
    pub fn ignore_interrupt(mut self, ignore: bool) -> Self {
        self.set_up.ignore_interrupt = ignore;
        self
    }

    /// Adds to the nice value of the child, which is that of this thread by default.
    ///
    /// The higher the value, the lower the child's priority. The sum is kept between -20 and 19. A
    /// negative increment needs rights (`CAP_SYS_NICE`).
    #[doc(alias = "setpriority")]
    pub fn nice(mut self, increment: i32) -> Self {
        self.set_up.nice = increment;
        self
    }

    /// Limits a resource of the child; `None` is no limit. By default the child has the limits of
    /// this process.
    ///
    /// The child may raise the soft limit up to the hard one. Raising the hard limit above that of
    /// this process needs rights (`CAP_SYS_RESOURCE`). A later call for the same resource replaces
    /// an earlier one.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use multiprocess::process::{Builder, Resource};
    ///
    /// multiprocess::init();
    /// // A child that eats memory fails by itself, and takes nothing from the others.
    /// let child = Builder::new()
    ///     .rlimit(Resource::AddressSpace, 64 << 30, 64 << 30)
    ///     .rlimit(Resource::CoreSize, 0, 0)
    ///     .spawn(|n: u64| n + 1, 4)?;
    /// assert_eq!(child.join()?, 5);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "setrlimit")]
    pub fn rlimit(
        mut self,
        resource: Resource,
        soft: impl Into<Option<u64>>,
        hard: impl Into<Option<u64>>,
    ) -> Self {
        self.set_up.limits.retain(|(earlier, ..)| *earlier != resource);
        self.set_up.limits.push((resource, soft.into(), hard.into()));
        self
    }

    /// Runs the child as the user of this number: real, effective and saved user ID. Needs rights.
    ///
    /// If this process runs as the superuser, the child also drops its supplementary groups, unless
    /// [`groups`](Self::groups) sets them. Set [`gid`](Self::gid) as well: otherwise the child
    /// keeps the rights of this process's group. The executable must be readable and executable for
    /// that user.
    ///
    /// Ends of pipes and of channels in the arguments work. Files that the child opens by name must
    /// be accessible to that user.
    #[doc(alias = "setuid")]
    pub fn uid(mut self, uid: u32) -> Self {
        self.set_up.uid = Some(uid);
        self
    }

    /// Runs the child in the group of this number: real, effective and saved group ID. Needs
    /// rights.
    #[doc(alias = "setgid")]
    pub fn gid(mut self, gid: u32) -> Self {
        self.set_up.gid = Some(gid);
        self
    }

    /// Sets the child's supplementary groups. Needs rights.
    #[doc(alias = "setgroups")]
    pub fn groups(mut self, groups: impl IntoIterator<Item = u32>) -> Self {
        self.set_up.groups = Some(groups.into_iter().collect());
        self
    }
}
