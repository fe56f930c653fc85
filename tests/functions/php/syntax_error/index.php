<?php
// Cannot be compiled.

function main_handler($event, $context)
{
    return $event
}
