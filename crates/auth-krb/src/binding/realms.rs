//! The realms that the library's configuration names.

use super::{Context, Owned, ffi};
use crate::error::Error;
use std::{
    collections::BTreeSet,
    ffi::{CStr, CString, c_char, c_long},
    ptr,
};

/// The sections of `krb5.conf`: those that describe realms, and the one that maps hosts to them.
const REALMS: &CStr = c"realms";
const DOMAIN_REALM: &CStr = c"domain_realm";

/// One of the library's functions that list something at a path.
type List = unsafe extern "C" fn(*mut ffi::Profile, *const *const c_char, *mut *mut *mut c_char) -> c_long;

impl Context {
    /// The realms that the configuration describes, or maps hosts to. Those that DNS alone knows are not among them.
    pub(crate) fn configured_realms(&self) -> Result<BTreeSet<String>, Error> {
        // SAFETY: the place is for one profile, which `Owned` gives back.
        let profile = self.receive(|context, out| unsafe { ffi::krb5_get_profile(context, out) })?;
        let mut realms: BTreeSet<String> =
            listed(&profile, ffi::profile_get_subsection_names, &[REALMS]).into_iter().map(text_of).collect();
        for host in listed(&profile, ffi::profile_get_relation_names, &[DOMAIN_REALM]) {
            realms.extend(listed(&profile, ffi::profile_get_values, &[DOMAIN_REALM, &host]).into_iter().map(text_of));
        }
        Ok(realms)
    }
}

fn text_of(text: CString) -> String {
    text.to_string_lossy().into_owned()
}

/// What is listed at a path; nothing when there is no such path.
fn listed(profile: &Owned<'_, ffi::Profile>, list: List, path: &[&CStr]) -> Vec<CString> {
    let path: Vec<*const c_char> = path.iter().map(|name| name.as_ptr()).chain([ptr::null()]).collect();
    let mut raw = ptr::null_mut();
    // SAFETY: the profile is open, the names end in NUL and their list in a null pointer; the place is for one list.
    let code = unsafe { list(profile.raw(), path.as_ptr(), &raw mut raw) };
    if code != 0 || raw.is_null() {
        return Vec::new();
    }
    let texts = (0..)
        // SAFETY: the list of the library ends in a null pointer, and no further than to that is read.
        .map(|number| unsafe { *raw.add(number) })
        .take_while(|text| !text.is_null())
        // SAFETY: not null, and a text of the library ends in NUL.
        .map(|text| unsafe { CStr::from_ptr(text) }.to_owned())
        .collect();
    // SAFETY: the library allocated the list, and it is given back once.
    unsafe { ffi::profile_free_list(raw) };
    texts
}
